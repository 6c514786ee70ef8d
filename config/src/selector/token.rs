use super::{Comparison, SelectorError};

/// The pieces that a selector is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// `has(label)`
    Has(&'t str),
    All,
    Global,
    Label(&'t str),
    Compare(Comparison),
    In,
    NotIn,
    Text(&'t str),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Not,
    And,
    Or,
    End,
}

/// Takes a text apart. What a word means depends on where it stands: behind a label it is an operator.
pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
    behind_label: bool,
}

/// The most characters of a label.
const LABEL_MAX: usize = 512;

fn is_label(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-')
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

impl<'t> Tokens<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0, behind_label: false }
    }

    /// The next token and where it starts.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'t>), SelectorError> {
        self.skip_blanks();
        let start = self.at;
        let token = if std::mem::take(&mut self.behind_label) { self.operator()? } else { self.operand()? };
        self.behind_label = matches!(token, Token::Label(_));
        Ok((start, token))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_blank).len();
    }

    fn take(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    fn operand(&mut self) -> Result<Token<'t>, SelectorError> {
        const SYMBOLS: [(&str, Token<'static>); 10] = [
            ("==", Token::Compare(Comparison::Equal)),
            ("!=", Token::Compare(Comparison::NotEqual)),
            ("&&", Token::And),
            ("||", Token::Or),
            ("!", Token::Not),
            ("(", Token::Open),
            (")", Token::Close),
            ("{", Token::OpenList),
            ("}", Token::CloseList),
            (",", Token::Comma),
        ];
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        if let Some((_, token)) = SYMBOLS.into_iter().find(|(symbol, _)| self.take(symbol)) {
            return Ok(token);
        }
        let expected = match first {
            '\'' | '"' => return self.string(first),
            _ if is_label(first) => return self.word(),
            '=' => "`==`",
            '&' => "`&&`",
            '|' => "`||`",
            _ => "a label, a string or an operator",
        };
        Err(SelectorError::new(self.text, self.at, expected))
    }

    /// A string, which ends with the quote that it starts with; nothing is escaped.
    fn string(&mut self, quote: char) -> Result<Token<'t>, SelectorError> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(length) = inner.find(quote) else {
            return Err(SelectorError::new(self.text, self.at, "a string that is closed"));
        };
        self.at += length + 2;
        Ok(Token::Text(inner.get(..length).unwrap_or_default()))
    }

    fn word(&mut self) -> Result<Token<'t>, SelectorError> {
        for (function, token) in [("all(", Token::All), ("global(", Token::Global)] {
            if self.take(function) {
                return self.close().map(|()| token);
            }
        }
        if self.take("has(") {
            self.skip_blanks();
            let label = self.label()?;
            return self.close().map(|()| Token::Has(label));
        }
        self.label().map(Token::Label)
    }

    fn close(&mut self) -> Result<(), SelectorError> {
        self.skip_blanks();
        if self.take(")") { Ok(()) } else { Err(SelectorError::new(self.text, self.at, "`)`")) }
    }

    fn label(&mut self) -> Result<&'t str, SelectorError> {
        let rest = self.rest();
        let length = rest.find(|character| !is_label(character)).unwrap_or(rest.len());
        if length == 0 {
            return Err(SelectorError::new(self.text, self.at, "a label"));
        }
        if length > LABEL_MAX {
            return Err(SelectorError::new(self.text, self.at, "a label of at most 512 characters"));
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// What stands behind a label.
    fn operator(&mut self) -> Result<Token<'t>, SelectorError> {
        const WORDS: [(&[&str], Token<'static>); 5] = [
            (&["contains"], Token::Compare(Comparison::Contains)),
            (&["starts", "with"], Token::Compare(Comparison::StartsWith)),
            (&["ends", "with"], Token::Compare(Comparison::EndsWith)),
            (&["not", "in"], Token::NotIn),
            (&["in"], Token::In),
        ];
        for (symbol, comparison) in [("==", Comparison::Equal), ("!=", Comparison::NotEqual)] {
            if self.take(symbol) {
                return Ok(Token::Compare(comparison));
            }
        }
        let start = self.at;
        for (words, token) in WORDS {
            let there = words.iter().all(|word| {
                self.skip_blanks();
                self.take(word)
            });
            self.skip_blanks();
            if there && !self.rest().starts_with(is_label) {
                return Ok(token);
            }
            self.at = start;
        }
        let expected = "an operator: ==, !=, contains, starts with, ends with, in or not in";
        Err(SelectorError::new(self.text, self.at, expected))
    }
}
