internal import CLibRdKafka
import Foundation

/// A token for SASL/OAUTHBEARER: a JWT that somebody else keeps fresh in a file, such as Kubernetes or an agent of the
/// identity provider. Whether it is genuine is for the brokers to find; read here are its user and its end only.
struct OAuthBearerToken {
    let text: String
    /// The claim `sub`.
    let subject: String
    /// The claim `exp`, in milliseconds since 1970.
    let expiresAt: Int64

    /// What is wrong with a file or its content, which is never repeated.
    struct Unusable: Error {
        let problem: String
    }

    private struct Claims: Decodable {
        let sub: String
        let exp: Double
    }

    init(file: String) throws(Unusable) {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw Unusable(problem: "unable to read '\(file)'")
        }
        text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let json = Self.base64URL(parts[1]),
            let claims = try? JSONDecoder().decode(Claims.self, from: json), abs(claims.exp) < 1e12
        else { throw Unusable(problem: "'\(file)' holds no JWT with the claims sub and exp") }
        subject = claims.sub
        expiresAt = Int64(claims.exp * 1000)
    }

    private static func base64URL(_ text: Substring) -> Data? {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    }

    /// Answers librdkafka, which asks at the start and again when four fifths of a token's time have passed. A failure
    /// is reported as an error of the log-in, and it asks again ten seconds later.
    static func refresh(_ client: OpaquePointer, file: String) {
        var problem: String
        do throws(Unusable) {
            let token = try OAuthBearerToken(file: file)
            var text = ErrorText()
            let code = rd_kafka_oauthbearer_set_token(
                client, token.text, token.expiresAt, token.subject, nil, 0, &text.buffer, ErrorText.size)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            problem = "the token in '\(file)' is refused: \(text.string)"
        } catch {
            problem = error.problem
        }
        rd_kafka_oauthbearer_set_token_failure(client, problem)
    }
}
