/// What people read about an option.
package struct ArgumentHelp: Sendable, ExpressibleByStringInterpolation {
    /// What it is for, in one sentence.
    package var abstract: String
    /// What stands for the value in usage, without brackets; the option's name if nil.
    package var valueName: String?

    /// A text, and what stands for the value.
    package init(_ abstract: String, valueName: String? = nil) {
        self.abstract = abstract
        self.valueName = valueName
    }

    /// A text only.
    package init(stringLiteral value: String) { self.init(value) }
}

/// What a shell offers for a value that has no list of values.
package enum CompletionKind: Sendable, Hashable {
    /// Nothing.
    case none
    /// Names of files.
    case file
    /// Names of folders.
    case directory
}
