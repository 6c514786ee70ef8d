//! End-to-end tests: real programs in network namespaces, `ravelin run` between them. One file for each thing that an
//! operator relies on. They need root and the programs that `./x setup` installs.

mod demo;
mod everyday;
mod failure;
mod floods;
mod idle;
mod laboratory;
mod links;
mod monitor;
mod policy;
mod records;
mod reload;
mod sizes;
mod transparency;
mod tunnels;
mod workers;
