//! End-to-end tests: real programs in network namespaces, `ravelin run` between them. One file for each thing that an
//! operator relies on. They need root and the programs that `./x setup` installs.

mod bridges;
mod capture_jobs;
mod captures;
mod captures_faults;
mod captures_rules;
mod demo;
mod doctor;
mod everyday;
mod failure;
mod feed_servers;
mod feeds;
mod feeds_kernel;
mod floods;
mod gateway_vm;
mod idle;
mod laboratory;
mod links;
mod live_flows;
mod mirror;
mod mirror_world;
mod monitor;
mod nat;
mod package;
mod policy;
mod receive_threads;
mod records;
mod rejects;
mod reload;
mod routing;
mod service;
mod sizes;
mod trace;
mod transparency;
mod triggers;
mod tunnels;
mod wireguard;
mod wireguard_device;
#[cfg(feature = "af-xdp")]
mod wireguard_ports;
mod workers;
mod zones;
