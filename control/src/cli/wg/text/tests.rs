use super::*;
use crate::cli::wg::fixture::{NOW, interfaces};

#[test]
fn an_interface_is_described_in_the_words_of_wg() {
    let all = interfaces();
    assert_eq!(
        interface(&all[0], NOW),
        "\
interface: wg0
  public key: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D0=
  private key: (hidden)
  listening port: 51820
  dropped: 1 bad_mac, 1 bad_tag, 5 unknown_index

peer: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D2=
  name: site-b
  preshared key: (hidden)
  endpoint: 192.0.2.2:51820
  allowed ips: 10.20.0.0/16, fd20::/48
  latest handshake: 1 minute, 3 seconds ago
  transfer: 1.21 KiB received, 3.02 MiB sent
  persistent keepalive: every 25 seconds
  session: up, round trip 12.345 ms, from 198.51.100.1, worker 0
  dropped: 2 bad_tag, 1 replay

peer: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D1=
  name: laptop
  allowed ips: (none)
  session: none, worker 0

peer: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D3=
  name: phone
  endpoint: [2001:db8::7]:40000
  allowed ips: 10.9.0.3/32
  transfer: 0 B received, 592 B sent
  session: waiting, worker 1"
    );
    assert_eq!(
        interface(&all[1], NOW),
        "\
interface: wg1
  public key: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D9=
  private key: (hidden)
  listening port: 51821"
    );
}

#[test]
fn a_key_before_is_told_and_who_is_under_it() {
    let mut rotated = interfaces().remove(0);
    let until = "2027-01-16T08:00:00Z".to_owned();
    rotated.previous = Some(WireguardPrevious { public_key: rotated.peers[0].public_key.clone(), until });
    rotated.peers[1].is_under_previous_key = true;
    let text = interface(&rotated, NOW);
    let line = "\n  previous public key: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D1= (until 2027-01-16T08:00:00Z)\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("  session: up under previous key, round trip 12.345 ms, from"), "{text}");
}

#[test]
fn times_are_told_as_wg_tells_them() {
    assert_eq!(ago(NOW, NOW), "Now");
    assert_eq!(ago(NOW - 1, NOW), "1 second ago");
    assert_eq!(ago(NOW + 1, NOW), "(System clock wound backward; connection problems may ensue.)");
    assert_eq!(span(3_600), "1 hour");
    assert_eq!(span(2 * 31_536_000 + 86_400 + 59), "2 years, 1 day, 59 seconds");
}

#[test]
fn bytes_are_told_as_wg_tells_them() {
    for (count, text) in [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.00 KiB"),
        (1_048_575, "1024.00 KiB"),
        (1_048_576, "1.00 MiB"),
        (5 << 30, "5.00 GiB"),
        (3 << 50, "3072.00 TiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
}
