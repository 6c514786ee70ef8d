use super::{
    Expression, Selector,
    token::{Token, Tokens},
};

/// Why a text is not a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at character {}, found {found}", .character + 1)]
pub struct SelectorError {
    /// Where, in bytes from the start of the text.
    pub at: usize,
    /// Where, in characters from the start of the text.
    pub character: usize,
    /// What stands there.
    pub found: String,
    /// What could have stood there.
    pub expected: &'static str,
}

impl SelectorError {
    pub(super) fn new(text: &str, at: usize, expected: &'static str) -> Self {
        /// Characters that are shown of what was found.
        const SHOWN: usize = 20;
        let rest = text.get(at..).unwrap_or_default();
        let mut found = String::from("`");
        for character in rest.chars().take(SHOWN) {
            // Of what is escaped in Rust's strings, these are good to read.
            if matches!(character, '\'' | '"' | '\\') {
                found.push(character);
            } else {
                found.extend(character.escape_debug());
            }
        }
        found.push_str(if rest.chars().nth(SHOWN).is_some() { "…`" } else { "`" });
        if rest.is_empty() {
            "the end".clone_into(&mut found);
        }
        Self { at, character: text.get(..at).map_or(0, |before| before.chars().count()), found, expected }
    }
}

/// Reads a whole selector.
pub(super) fn parse(text: &str) -> Result<Expression, SelectorError> {
    if let Some((at, _)) = text.char_indices().nth(Selector::MAX) {
        return Err(SelectorError::new(text, at, "at most 1024 characters"));
    }
    let mut parser = Parser::new(text)?;
    if parser.token == Token::End {
        return Ok(Expression::All);
    }
    parser.expression()
}

/// What was read of the inside of one pair of parentheses, or of the whole.
#[derive(Default)]
struct Level {
    /// Whether `!` stands before the parenthesis.
    negated: bool,
    /// What stood before the last `||`.
    or: Vec<Expression>,
    /// What has stood since.
    and: Vec<Expression>,
}

impl Level {
    /// Ends what `&&` joins.
    fn end_and(&mut self) {
        let and = std::mem::take(&mut self.and);
        self.or.push(Expression::joined(and, Expression::And, Expression::All));
    }

    fn end(mut self) -> Expression {
        self.end_and();
        let whole = Expression::joined(self.or, Expression::Or, Expression::All);
        if self.negated { whole.negated() } else { whole }
    }
}

/// One token ahead.
struct Parser<'t> {
    text: &'t str,
    tokens: Tokens<'t>,
    token: Token<'t>,
    at: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, SelectorError> {
        let mut tokens = Tokens::new(text);
        let (at, token) = tokens.next()?;
        Ok(Self { text, tokens, token, at })
    }

    fn advance(&mut self) -> Result<Token<'t>, SelectorError> {
        let (at, next) = self.tokens.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        SelectorError::new(self.text, self.at, expected)
    }

    /// Everything up to the end. No recursion: a text may open a thousand parentheses.
    fn expression(&mut self) -> Result<Expression, SelectorError> {
        let (mut outer, mut level) = (Vec::new(), Level::default());
        loop {
            let negated = self.negation()?;
            if self.token == Token::Open {
                self.advance()?;
                outer.push(level);
                level = Level { negated, ..Level::default() };
                continue;
            }
            let operand = self.primary()?;
            level.and.push(if negated { operand.negated() } else { operand });
            while self.token == Token::Close
                && let Some(upper) = outer.pop()
            {
                self.advance()?;
                let inner = std::mem::replace(&mut level, upper);
                level.and.push(inner.end());
            }
            if self.token == Token::End && outer.is_empty() {
                return Ok(level.end());
            } else if self.token == Token::Or {
                level.end_and();
            } else if self.token != Token::And {
                let end = if outer.is_empty() { "&&, || or the end" } else { "&&, || or `)`" };
                return Err(self.expected(end));
            }
            self.advance()?;
        }
    }

    /// Whether what follows is negated, by an odd number of `!`.
    fn negation(&mut self) -> Result<bool, SelectorError> {
        let mut negated = false;
        while self.token == Token::Not {
            self.advance()?;
            negated = !negated;
        }
        Ok(negated)
    }

    fn primary(&mut self) -> Result<Expression, SelectorError> {
        const START: &str = "a label, has(…), all(), global() or `(`";
        match self.token {
            Token::Has(label) => {
                self.advance()?;
                Ok(Expression::Has(label.to_owned()))
            }
            Token::All => {
                self.advance()?;
                Ok(Expression::All)
            }
            Token::Global => {
                self.advance()?;
                Ok(Expression::Global)
            }
            Token::Label(label) => {
                self.advance()?;
                self.comparison(label.to_owned())
            }
            Token::Compare(_)
            | Token::In
            | Token::NotIn
            | Token::Text(_)
            | Token::Open
            | Token::Close
            | Token::OpenList
            | Token::CloseList
            | Token::Comma
            | Token::Not
            | Token::And
            | Token::Or
            | Token::End => Err(self.expected(START)),
        }
    }

    /// Operator and value behind a label.
    fn comparison(&mut self, label: String) -> Result<Expression, SelectorError> {
        let operator = self.advance()?;
        if let Token::Compare(comparison) = operator {
            return Ok(Expression::Compare { label, comparison, value: self.string()? });
        }
        let values = self.list()?;
        // Behind a label the tokens know no other operator.
        Ok(if operator == Token::In {
            Expression::In(label, values)
        } else {
            Expression::NotIn(label, values)
        })
    }

    fn string(&mut self) -> Result<String, SelectorError> {
        let Token::Text(text) = self.token else { return Err(self.expected("a string in quotes")) };
        self.advance()?;
        Ok(text.to_owned())
    }

    fn list(&mut self) -> Result<Vec<String>, SelectorError> {
        if self.token != Token::OpenList {
            return Err(self.expected("`{`"));
        }
        self.advance()?;
        let mut values = Vec::new();
        while self.token != Token::CloseList {
            values.push(self.string()?);
            if self.token == Token::Comma {
                self.advance()?;
            } else if self.token != Token::CloseList {
                return Err(self.expected("`,` or `}`"));
            }
        }
        self.advance()?;
        Ok(values)
    }
}
