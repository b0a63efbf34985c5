//! Customers, operators, roles, sessions, tokens and enrolment codes.
