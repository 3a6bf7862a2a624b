//! Functions run with real processes: the binary `lambda-fixture` does what each invocation asks
//! for.

#[cfg(test)]
mod functions {
    mod api;
    mod end;
    mod external;
    mod figures;
    mod invoke;
    mod loops;
    mod support;
}
