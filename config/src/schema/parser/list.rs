use super::{Parser, Value, integer, wrong_type};
use crate::report::{Code, Findings};
use crate::schema::reader::At;

/// A list of values of one type. One bad element makes the list unusable, after all of them have been looked
/// at.
pub(crate) struct List<P> {
    element: P,
    /// What an element is called: "prefixes".
    plural: &'static str,
    empty: Empty,
}

/// What it means that a list is empty.
enum Empty {
    Legal,
    /// Nothing that leaving the key out would not mean.
    Needless,
    /// The key is required.
    Incomplete,
}

/// A list of `element`s, called `plural` in messages. It must not be empty.
pub(crate) const fn list<P: Parser>(plural: &'static str, element: P) -> List<P> {
    List { element, plural, empty: Empty::Needless }
}

impl<P> List<P> {
    /// The same list, allowed to be empty.
    pub(crate) const fn or_empty(mut self) -> Self {
        self.empty = Empty::Legal;
        self
    }

    /// The same list, of a key that is required.
    pub(crate) const fn required(mut self) -> Self {
        self.empty = Empty::Incomplete;
        self
    }
}

impl<P: Parser> List<P> {
    fn show_elements<'v>(&self, elements: impl Iterator<Item = &'v P::Output>) -> Option<String>
    where
        P::Output: 'v,
    {
        let elements: Option<Vec<_>> = elements.map(|element| self.element.show(element)).collect();
        elements.map(|elements| format!("[{}]", elements.join(", ")))
    }
}

impl<P: Parser> Parser for List<P> {
    type Output = Vec<At<P::Output>>;

    fn kind(&self) -> String {
        format!("list of {}", self.plural)
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Self::Output> {
        let Some(array) = value.get_ref().as_array() else {
            let written = findings.sources().text(value.span()).to_owned();
            let finding = wrong_type(value, &self.kind(), findings);
            if value.get_ref().is_str() || value.get_ref().is_integer() {
                finding.help(format!("write a list: [{written}]"));
            }
            return None;
        };
        let help = match self.empty {
            Empty::Legal => None,
            Empty::Needless => Some("leave the key out"),
            Empty::Incomplete => Some("write one at least"),
        };
        if let (true, Some(help)) = (array.is_empty(), help) {
            findings.add(Code::EmptyList, value.span(), format!("empty {}", self.kind())).help(help);
            return None;
        }
        let parsed: Vec<_> = array
            .iter()
            .map(|element| {
                let parsed = self.element.parse(element, findings)?;
                Some(At { value: parsed, range: findings.place(element.span()) })
            })
            .collect();
        parsed.into_iter().collect()
    }

    fn show(&self, value: &Self::Output) -> Option<String> {
        self.show_elements(value.iter().map(|at| &at.value))
    }
}

/// A list without the positions of its elements.
pub(crate) struct Plain<P>(List<P>);

impl<P> List<P> {
    /// The same list without the positions of its elements, for a section that may stand once.
    pub(crate) const fn plain(self) -> Plain<P> {
        Plain(self)
    }
}

impl<P: Parser> Parser for Plain<P> {
    type Output = Vec<P::Output>;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Self::Output> {
        let elements = self.0.parse(value, findings)?;
        Some(elements.into_iter().map(|at| at.value).collect())
    }

    fn show(&self, value: &Self::Output) -> Option<String> {
        self.0.show_elements(value.iter())
    }
}

/// The highest core that a worker may be pinned to: `CPU_SETSIZE` of the C library is 1024.
const CORE_MAX: u64 = 1023;

/// A list of processor cores without repetition.
pub(crate) struct Cores(List<super::scalar::Integer<usize>>);

/// A list of processor cores without repetition; may be empty.
pub(crate) const fn cores() -> Cores {
    Cores(List {
        element: integer(0..=CORE_MAX),
        plural: "cores from 0 to 1023, each once",
        empty: Empty::Legal,
    })
}

impl Parser for Cores {
    type Output = Vec<usize>;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Vec<usize>> {
        let cores = self.0.parse(value, findings)?;
        for (index, core) in cores.iter().enumerate() {
            if cores.iter().take(index).any(|earlier| earlier.value == core.value) {
                let message = format!("core {} is used twice", core.value);
                let finding = findings.add(Code::DuplicateCore, core.range.clone(), message);
                finding.help("a core runs one worker: two would take turns and both lose");
            }
        }
        Some(cores.into_iter().map(|core| core.value).collect())
    }

    fn show(&self, value: &Vec<usize>) -> Option<String> {
        Some(format!("{value:?}"))
    }
}
