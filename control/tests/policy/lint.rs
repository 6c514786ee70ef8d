use crate::{
    SHOP,
    support::{self, Scratch, ravelin},
};

#[test]
fn findings_are_told_and_strictness_makes_them_a_failure() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let done = ravelin(&["lint", "-c", &shop], b"");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let expected = "\
warning[denied-endpoints]: `gate` is denied all egress: no policy governs it and no profile allows it
warning[denied-endpoints]: `gate` is denied all ingress: no policy governs it and no profile allows it
0 errors, 2 warnings, 0 notes
";
    assert_eq!(done.out, expected);
    assert_eq!(ravelin(&["lint", "-c", &shop, "--strict"], b"").code, 1);
    let findings = support::json(&ravelin(&["lint", "--json", "-c", &shop], b"").out);
    assert_eq!(findings["findings"][0]["kind"], "denied-endpoints");

    let quiet = SHOP.replace("kind = \"host\"", "profiles = [\"default-allow\"]");
    let quiet = scratch.write("quiet.toml", quiet);
    let done = ravelin(&["lint", "-c", &quiet, "--strict"], b"");
    assert_eq!((done.code, done.out.as_str()), (0, "0 errors, 0 warnings, 0 notes\n"));
    assert_eq!(ravelin(&["lint", "-c", "/nonexistent.toml"], b"").code, 2);
}
