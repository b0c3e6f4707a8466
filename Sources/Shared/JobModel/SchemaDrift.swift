/// What a run does if the columns of a dataset differ from those of the last published run.
package enum SchemaDrift: String, CaseIterable, Sendable {
    case fail, warn
}
