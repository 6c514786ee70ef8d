use crate::{
    SHOP,
    support::{self, Scratch, ravelin},
};

#[test]
fn what_differs_is_told_and_the_exit_code_says_whether_anything_does() {
    let scratch = Scratch::new();
    let old = scratch.write("old.toml", SHOP);
    let new = scratch.write("new.toml", SHOP.replace("ports = [5432]", "ports = [5433]"));
    let same = ravelin(&["diff", &old, &old], b"");
    assert_eq!((same.code, same.out.as_str(), same.err.as_str()), (0, "nothing differs\n", ""));
    let done = ravelin(&["diff", &old, &new], b"");
    let expected = "\
shop/web-1, shop/web-2 -> shop/db tcp 5432: allow -> deny by shop/default.web, default
shop/web-1, shop/web-2 -> shop/db tcp 5433: deny -> allow by __PROFILE__.kns.shop, rule 0
2 differences
";
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (1, expected, ""));
    let answer = support::json(&ravelin(&["diff", "--json", &old, &new], b"").out);
    assert_eq!((&answer["same"], &answer["complete"]), (&false.into(), &true.into()));
    let change = &answer["changes"][0];
    assert_eq!(
        (&change["ports"], &change["old"], &change["new"]),
        (&"5432".into(), &"allow".into(), &"deny".into())
    );
    assert_eq!(
        (&change["from"]["endpoints"], &change["old_by"]),
        (&2.into(), &"__PROFILE__.kns.shop, rule 0".into())
    );

    let some = ravelin(&["diff", &old, &new, "--pairs", "1"], b"");
    assert!([1, 2].contains(&some.code) && some.out.contains("pairs of ends"), "{}", some.out);
    assert_eq!(ravelin(&["diff", &old, "/nonexistent.toml"], b"").code, 2);
    assert_eq!(ravelin(&["diff", &old], b"").code, 2);
}
