//! Prints the reference of the configuration language: `cargo run -p ravelin-config --example reference > docs/config.md`.

fn main() {
    print!("{}", ravelin_config::reference());
}
