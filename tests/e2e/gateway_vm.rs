//! A gateway as an operator has it: a Debian with its own kernel and drivers, the package installed, administered over SSH.

use ravelin_tests::{topology::Lab, vm};

#[test]
fn boots() {
    let Some(lab) = Lab::without_links(&vm::PROGRAMS) else { return };
    let start = std::time::Instant::now();
    let mut vm = vm::Vm::boot(&lab, &lab.appliance, &[(&lab.client, "eth0"), (&lab.server, "eth0")]);
    eprintln!("{:?} {}", start.elapsed(), vm.run("uname -r; ip -br a; systemctl --failed"));
    vm.reboot();
    eprintln!("{:?}", start.elapsed());
}
