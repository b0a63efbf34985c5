//! Routes, JSON types, OpenAPI, problem+json and event streams.
