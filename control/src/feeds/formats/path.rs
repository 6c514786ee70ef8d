use std::{fmt, str::FromStr};

/// Where in a JSON document something stands: `$`, then keys (`.name` or `["name"]`), places in lists from 0 (`[0]`), all of a list (`[*]`)
/// and all of a list or object (`.*`), such as `$.data[*]["ip address"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub(super) Vec<Step>);

/// A step on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// All entries of a list.
    Entries,
    /// All of a list or object.
    Every,
    /// Anywhere below: no path that somebody writes has it.
    Below,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a path: {what} at character {}", character + 1)]
pub struct PathError {
    what: &'static str,
    /// The character from 0.
    pub character: usize,
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        /// Deeper than any document that is read.
        const STEPS: usize = 64;
        let fail = |rest: &str, what| {
            let before = text.len() - rest.len();
            PathError { what, character: text.chars().count() - text[before..].chars().count() }
        };
        let mut rest = text.strip_prefix('$').ok_or_else(|| fail(text, "a path begins with `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == STEPS {
                return Err(fail(rest, "too many steps"));
            }
            let (step, behind) = if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                match after.split_at(end) {
                    ("", _) => return Err(fail(after, "a name is missing")),
                    ("*", behind) => (Step::Every, behind),
                    (name, behind) => (Step::Key(name.to_owned()), behind),
                }
            } else if let Some(after) = rest.strip_prefix("[\"") {
                quoted(after)
                    .ok_or_else(|| fail(after, "a name ends with `\"]`, with `\\` before quotes in it"))?
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inner, behind) = after.split_once(']').ok_or_else(|| fail(after, "`]` is missing"))?;
                let step = match inner {
                    "*" => Step::Entries,
                    _ if inner.bytes().all(|byte| byte.is_ascii_digit()) => Step::Index(
                        inner.parse().map_err(|_| fail(after, "a number is missing or too large"))?,
                    ),
                    _ => return Err(fail(after, "brackets hold a number, `*` or a name in double quotes")),
                };
                (step, behind)
            } else {
                return Err(fail(rest, "a step begins with `.` or `[`"));
            };
            steps.push(step);
            rest = behind;
        }
        Ok(Self(steps))
    }
}

/// A name in quotes without its opening quote, and what stands behind its bracket.
fn quoted(text: &str) -> Option<(Step, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.push(characters.next()?.1),
            '"' => return Some((Step::Key(name), text[at + 1..].strip_prefix(']')?)),
            _ => name.push(character),
        }
    }
    None
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Key(name) if !name.is_empty() && name != "*" && !name.contains(['.', '[']) => {
                write!(f, ".{name}")
            }
            Step::Key(name) => write!(f, "[\"{}\"]", name.replace('\\', "\\\\").replace('"', "\\\"")),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Entries => f.write_str("[*]"),
            Step::Every => f.write_str(".*"),
            Step::Below => f.write_str(".."),
        })
    }
}
