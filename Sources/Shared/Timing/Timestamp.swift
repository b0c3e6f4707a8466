package import FoundationEssentials

/// Points in time as text: in events, manifests, logs and reports.
package enum Timestamp {
    /// RFC 3339 in UTC with milliseconds, such as `2026-04-01T03:15:00.123Z`.
    package static func text(of date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
