//! SQL, migrations, encryption at rest: the only crate that knows a database.
