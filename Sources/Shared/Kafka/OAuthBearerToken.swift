internal import CLibRdKafka
import Foundation

/// A token for SASL/OAUTHBEARER: a JWT in a file that another program renews, such as Kubernetes or an agent of the
/// identity provider. The brokers check its signature; this program reads only its subject and its expiry.
struct OAuthBearerToken {
    let text: String
    /// The claim `sub`.
    let subject: String
    /// The claim `exp`, in milliseconds since 1970.
    let expiresAt: Int64

    /// The problem of a file or its content; the text never repeats the content.
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

    /// Answers librdkafka, which requests a token at the start and again after four fifths of the token's lifetime. A
    /// failure is reported as an error of the log-in, and librdkafka repeats the request after ten seconds.
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
