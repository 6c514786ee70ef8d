use crate::Code;
use crate::model::Model;
use crate::schema::{Absence, Effect, Form, Key, Section};

/// The reference of the configuration language as Markdown, generated from the declarations of its keys.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in Model::declare() {
        page.push_str(&describe(&section));
    }
    page.push_str(FINDINGS);
    for code in Code::ALL {
        let line = format!("| {code} | {} | {} |\n", code.severity(), cell(code.meaning()));
        page.push_str(&line);
    }
    page
}

const INTRODUCTION: &str = "\
# Configuration reference

Generated from the declarations in `config/src/model/` by `cargo run -p ravelin-config --example reference`; do not edit.

One TOML file describes an appliance; it may include others. Every section and every key may be left out unless it is marked
*required*; an empty file is valid. A key that is not listed here is an error, and words are lower case. Complete examples: `config/examples/`.

A *duration* is a string of a whole number and a unit: `\"500us\"`, `\"10ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"1d\"`.
*Live* keys are taken over by `ravelin reload`; a change of any other key is refused by it and needs a restart. Adding,
removing or reordering entries such as `[[policy]]` and `[[endpoint]]` is live; that of `[[interface]]` and `[[bridge]]` entries is not,
nor adding or removing a `[[wireguard]]`.

`ravelin check FILE` reports every mistake at once, each with file, line, column and one of the codes at the end of this page.
";

const FINDINGS: &str = "
## Findings

| code | severity | meaning |
|---|---|---|
";

fn describe(section: &Section) -> String {
    let write = |path: &&str| match section.form {
        Form::Once if path.is_empty() => "Before the first section".to_owned(),
        Form::Once => format!("`[{path}]`"),
        Form::Repeated => format!("`[[{path}]]`"),
        Form::Inner => format!("`{path} = {{…}}`"),
    };
    let repeated = if section.form == Form::Repeated { " May be repeated." } else { "" };
    let mut text = format!("\n## {}\n\n{}{repeated}", write(&section.path), section.help.trim());
    if !section.also.is_empty() {
        let also: Vec<_> = section.also.iter().map(write).collect();
        text.push_str(&format!(" The same keys: {}.", also.join(", ")));
    }
    text.push_str("\n\n");
    text.push_str("| key | type | default | change | meaning |\n|---|---|---|---|---|\n");
    for key in &section.keys {
        text.push_str(&row(key));
    }
    text
}

fn row(key: &Key) -> String {
    let default = match &key.default {
        Absence::Required => "*required*".to_owned(),
        Absence::Default(value) => format!("`{value}`"),
        Absence::Means(meaning) => (*meaning).to_owned(),
    };
    let effect = match key.effect {
        Effect::Live => "live",
        Effect::Restart => "restart",
    };
    let (kind, default, help) = (cell(&key.kind), cell(&default), cell(key.help.trim()));
    format!("| `{}` | {kind} | {default} | {effect} | {help} |\n", key.name)
}

/// Text that may stand in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
