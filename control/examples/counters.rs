//! Prints `docs/counters.md`.

fn main() {
    print!("{}", ravelin_control::stats::reference());
}
