import ObjectStore
import Testing

/// Expects `body` to throw an `ObjectStoreError` of this kind, and returns it.
@discardableResult
func expect(
    _ kind: ObjectStoreError.Kind, _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async -> ObjectStoreError? {
    let error = await #expect(throws: ObjectStoreError.self, sourceLocation: sourceLocation) { try await body() }
    if let error { #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation) }
    return error
}
