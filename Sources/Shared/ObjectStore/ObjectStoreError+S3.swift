import CLibCurl

extension ObjectStoreError {
    /// The error of a transfer without a complete answer.
    init(_ error: CurlError, _ operation: String, _ subject: String) {
        let kind: Kind
        var isRetryable = true
        var hint: String?
        switch error.code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            kind = .unreachable
            hint = "the host name is unknown: check BDA_S3_ENDPOINT and BDA_S3_REGION, and the pod's DNS"
        case CURLE_COULDNT_CONNECT:
            kind = .unreachable
            hint = "no server answers: check BDA_S3_ENDPOINT, firewalls and the proxy settings"
        case CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE,
            CURLE_SEND_FAIL_REWIND:
            kind = .interrupted
        case CURLE_SSL_CONNECT_ERROR:
            // A connection reset during the handshake has the same code.
            kind = .tls
            hint = "check the scheme in BDA_S3_ENDPOINT: http:// for a store without TLS"
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS:
            kind = .tls
            isRetryable = false
            hint =
                error.detail.contains("subject name")
                ? "the certificate has other names: check BDA_S3_ENDPOINT and BDA_S3_PATH_STYLE"
                : error.detail.contains("expired")
                    ? "the store's certificate has to be renewed"
                    : "set AWS_CA_BUNDLE to a PEM file of the store's certificate authority"
        case CurlError.replyTooLong.code:
            kind = .badReply
            isRetryable = false
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            kind = .refused
            isRetryable = false
            hint = "check BDA_S3_ENDPOINT"
        default:
            kind = .interrupted
        }
        self.init(kind, operation, subject, reason: error.detail, isRetryable: isRetryable, hint: hint)
        curlCode = Int(error.code.rawValue)
    }

    /// The error of an unsuccessful answer, by its status, S3's code and headers.
    init(_ reply: HTTPReply, fault: S3Fault?, _ operation: String, _ subject: String) {
        let bucketRegion = reply.headers["x-amz-bucket-region"]
        let rule = Self.rule(status: reply.status, code: fault?.code, operation: operation)
        var reason = fault.map { $0.message.isEmpty ? $0.code : $0.message } ?? "the store answers HTTP \(reply.status)"
        if reply.status < 300, fault != nil { reason = "the answer was a success that holds an error: \(reason)" }
        self.init(rule.kind, operation, subject, reason: reason, isRetryable: rule.isRetryable, hint: rule.hint)
        if kind == .wrongRegion, let bucketRegion {
            hint = "set BDA_S3_REGION=\(S3Fault.clip(bucketRegion, to: 64))"
        }
        status = reply.status
        s3Code = fault?.code
        requestID = reply.headers["x-amz-request-id"].map { S3Fault.clip($0, to: 64) }
    }

    private typealias Rule = (kind: Kind, isRetryable: Bool, hint: String?)

    /// The retryable codes are those of the AWS SDKs' standard mode (botocore, retries/standard.py).
    private static func rule(status: Int, code: String?, operation: String) -> Rule {
        switch code {
        case "NoSuchBucket":
            return (.noSuchPlace, false, "create the bucket, or correct BDA_S3_BUCKET or BDA_OUTPUT")
        case "AccessDenied", "AllAccessDisabled", "AccountProblem":
            return (.accessDenied, false, accessHint(operation))
        case "InvalidAccessKeyId":
            return (.credentials, false, "check AWS_ACCESS_KEY_ID, and that it belongs to BDA_S3_ENDPOINT")
        case "SignatureDoesNotMatch":
            return (
                .credentials, false,
                "check AWS_SECRET_ACCESS_KEY; a proxy that changes requests has the same effect"
            )
        case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired":
            return (
                .credentials, false, "the session has expired: check AWS_SESSION_TOKEN, or the program that renews it"
            )
        case "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException":
            return (.wrongRegion, false, "check BDA_S3_REGION and BDA_S3_ENDPOINT")
        case "RequestTimeTooSkewed":
            return (.clockSkew, true, "set this machine's clock")
        case "PreconditionFailed":
            return (.preconditionFailed, false, nil)
        case "ConditionalRequestConflict", "OperationAborted":
            return (.conflict, true, nil)
        case "NoSuchUpload":
            // The sent pieces are lost as well, so only a new upload helps.
            return (
                .conflict, true,
                "a lifecycle rule or an operator has ended the upload: let rules keep uploads longer than a job may take"
            )
        case "InvalidPart", "InvalidPartOrder":
            // The store's pieces differ from its answers, so only a new upload helps.
            return (.conflict, true, nil)
        case "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
            "RequestThrottledException", "TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded",
            "BandwidthLimitExceeded":
            return (.throttled, true, "use fewer workers or fewer worker slots (BDA_WORKER_SLOTS)")
        case "RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete":
            return (.interrupted, true, nil)
        case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody":
            return (.integrity, true, nil)
        case "EntityTooSmall":
            return (
                .refused, false, "pieces but the last have at least 5 MiB: set BDA_UPLOAD_PART_BYTES to 5242880 or more"
            )
        case "InvalidStorageClass":
            return (.refused, false, "check BDA_S3_STORAGE_CLASS")
        case "InvalidTag":
            return (.refused, false, "check BDA_S3_TAGS")
        case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull":
            return (.noSpace, true, "make room in the store; `bda-coordinator clean` removes files that no run needs")
        case .some(let code) where code.hasPrefix("KMS."):
            return (.refused, false, "check BDA_S3_KMS_KEY_ID and the key's policy")
        default:
            break
        }
        switch status {
        case 301, 302, 307, 308: return (.wrongRegion, false, "check BDA_S3_REGION and BDA_S3_ENDPOINT")
        case 401: return (.credentials, false, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        case 403: return (.accessDenied, false, accessHint(operation))
        case 409: return (.conflict, true, nil)
        case 412: return (.preconditionFailed, false, nil)
        case 429: return (.throttled, true, nil)
        case 501: return (.unsupported, false, "the store does not support conditional writes or checksums")
        case 503: return (.throttled, true, nil)
        case 500...: return (.storeFault, true, nil)
        case 200..<300: return (.storeFault, true, nil)
        default: return (.refused, false, nil)
        }
    }

    private static func accessHint(_ operation: String) -> String {
        let action =
            switch operation {
            case "head", "get", "read": "s3:GetObject (and s3:ListBucket, without which a missing object looks refused)"
            case "list", "reach": "s3:ListBucket"
            case "delete": "s3:DeleteObject"
            case "abort": "s3:AbortMultipartUpload"
            case "list uploads under": "s3:ListBucketMultipartUploads"
            default:
                "s3:PutObject (s3:PutObjectTagging with BDA_S3_TAGS; kms:GenerateDataKey and kms:Decrypt with a key)"
            }
        return "allow \(action) to the credentials in use, and check BDA_S3_BUCKET_OWNER if it is set"
    }
}
