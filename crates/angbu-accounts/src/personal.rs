//! What in the entries about accounts is personal.

use angbu_evidence::Kind;

/// Whether a field of an entry about an account says who somebody is, so that it can be erased. Ids, keys, roles and
/// settings stay: they are random or prove something, and name nobody.
pub fn is_personal(kind: &Kind, field: &str) -> bool {
    match kind.as_str() {
        "account.person" => matches!(field, "login-id" | "phone" | "birthday" | "language"),
        "account.customer" => matches!(field, "name" | "contacts"),
        "account.staff" | "account.operator" | "account.machine" => field == "name",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_somebody_is_personal_and_what_proves_something_is_not() {
        let is = |kind: &str, field| is_personal(&Kind::new(kind).unwrap(), field);
        assert!(is("account.person", "birthday") && is("account.customer", "contacts"));
        assert!(!is("account.person", "person") && !is("account.customer", "tolerance-ns"));
        assert!(!is("clock.state", "source") && !is("evidence.manifest", "root"));
    }
}
