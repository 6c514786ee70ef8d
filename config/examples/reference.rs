//! Prints the reference of the configuration language. To bring `docs/config.md` up to date:
//! `cargo run -p ravelin-config --example reference > docs/config.md`

fn main() {
    print!("{}", ravelin_config::reference());
}
