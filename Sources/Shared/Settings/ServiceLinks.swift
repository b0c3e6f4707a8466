/// The variables that Kubernetes sets in a pod for every Service of its namespace ("Accessing the Service: environment
/// variables"). A Service named `bda-kafka` sets `BDA_KAFKA_PORT=tcp://…`, `BDA_KAFKA_SERVICE_HOST` and more, which
/// have the form of this program's settings.
struct ServiceLinks {
    /// One variable for each Service, with the Service's name.
    private(set) var services: [(variable: String, service: String)] = []
    /// All variables that belong to the services.
    private(set) var variables: Set<String> = []

    init(_ environment: [String: String]) {
        let schemes = ["tcp://", "udp://", "sctp://"]
        for (variable, value) in environment.sorted(by: { $0.key < $1.key }) {
            guard variable.hasSuffix("_PORT"), schemes.contains(where: { value.hasPrefix($0) }) else { continue }
            let base = variable.dropLast("_PORT".count)
            services.append((variable, base.lowercased().replacing("_", with: "-")))
            variables.insert(variable)
            for name in environment.keys where Self.isLink(name, of: base) { variables.insert(name) }
        }
    }

    private static func isLink(_ name: String, of base: Substring) -> Bool {
        guard name.hasPrefix(base) else { return false }
        let rest = name.dropFirst(base.count)
        if rest == "_SERVICE_HOST" || rest == "_SERVICE_PORT" || rest.hasPrefix("_SERVICE_PORT_") { return true }
        guard rest.hasPrefix("_PORT_"), let digit = rest.dropFirst("_PORT_".count).first else { return false }
        return digit.isNumber
    }
}
