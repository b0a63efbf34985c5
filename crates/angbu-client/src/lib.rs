//! A blocking client of a centre, for agents, bindings and other people's programs.
