//! Tokens to a query, without knowledge of objects and fields.
use crate::error::ApiError;
use crate::soql::functions::DateFunction;
use crate::soql::lexer::{self, Kind, Token, malformed};

/// Names joined by dots, and where they stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names {
    pub(crate) parts: Vec<String>,
    pub(crate) column: usize,
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

/// Something that is selected or sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Field(Names),
    /// `CALENDAR_YEAR(CloseDate)`
    Date(DateFunction, Names),
    /// `None` as argument: `COUNT()`.
    Aggregate(Function, Option<Names>),
    /// `GROUPING(Type)`: whether a row sums up over the field.
    Grouping(Names),
    /// `FIELDS(ALL | STANDARD | CUSTOM)`
    Group(String),
    /// `TYPEOF Owner WHEN User THEN Name ELSE Id END`: the relationship, the fields by object, and
    /// those of all other objects.
    TypeOf(Names, Vec<(String, Vec<Names>)>, Vec<Names>),
    /// `(SELECT Id FROM Contacts)`: `from` is the name of a child relationship.
    Children(Box<Query>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

/// A literal. Texts keep their escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Text(String),
    /// A number, date or datetime.
    Plain(String),
    /// `TODAY`, `LAST_N_DAYS:30`
    DateName(String, Option<i64>),
}

impl Literal {
    pub(crate) fn flag(&self) -> Option<bool> {
        if let Literal::Bool(flag) = self {
            Some(*flag)
        } else {
            None
        }
    }

    /// A quoted text with its escapes.
    pub(crate) fn raw(&self) -> Option<&str> {
        if let Literal::Text(raw) = self {
            Some(raw)
        } else {
            None
        }
    }

    pub(crate) fn plain(&self) -> Option<&str> {
        if let Literal::Plain(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn date_name(&self) -> Option<(&str, Option<i64>)> {
        if let Literal::DateName(name, number) = self {
            Some((name, *number))
        } else {
            None
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Item, Comparison, Literal),
    /// With `true`: NOT IN.
    In(Item, bool, Vec<Literal>),
    /// With `true`: NOT IN.
    Join(Names, bool, Box<Query>),
    /// With `true`: EXCLUDES.
    Includes(Names, bool, Vec<Literal>),
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) by: Item,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// Which sums a grouped query gives beside those of each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Totals {
    None,
    /// Over the last key, over the last two, and so on.
    Rollup,
    /// Over every set of keys.
    Cube,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// What is selected, and the alias it has.
    pub(crate) select: Vec<(Item, Option<String>)>,
    pub(crate) from: String,
    pub(crate) alias: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) group_by: Vec<Item>,
    pub(crate) totals: Totals,
    pub(crate) having: Option<Condition>,
    pub(crate) order_by: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

const MAX_LENGTH: usize = 100_000;

/// Reads one whole query.
pub(crate) fn parse(soql: &str) -> Result<Query, ApiError> {
    if soql.chars().count() > MAX_LENGTH {
        return Err(malformed(format!(
            "SOQL statements cannot be longer than {MAX_LENGTH} characters."
        )));
    }
    let tokens = lexer::tokens(soql)?;
    let mut parser = Parser {
        tokens: &tokens,
        place: 0,
        depth: 0,
    };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    place: usize,
    depth: usize,
}

/// Words that can not be an alias, because a clause begins with them.
const CLAUSES: [&str; 10] = [
    "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "USING", "WITH", "FOR", "HAVING", "ALL",
];

/// How many child sub-selects and how many relationships a query may have.
const MAX_CHILDREN: usize = 20;

impl Parser<'_> {
    fn query(&mut self) -> Result<Query, ApiError> {
        self.keyword("SELECT")?;
        let mut select = vec![self.selected()?];
        while self.sign(",") {
            select.push(self.selected()?);
        }
        let children = select.iter();
        let children = children.filter(|(item, _)| matches!(item, Item::Children(_)));
        if children.count() > MAX_CHILDREN {
            return Err(malformed(format!(
                "a query can have at most {MAX_CHILDREN} child sub-selects"
            )));
        }
        self.keyword("FROM")?;
        let from = self.word()?;
        let _as = self.maybe("AS");
        let alias = match self.peek_word() {
            Some(word)
                if !CLAUSES
                    .iter()
                    .any(|clause| clause.eq_ignore_ascii_case(word)) =>
            {
                Some(self.word()?)
            }
            _ => None,
        };
        if self.maybe("USING") {
            self.keyword("SCOPE")?;
            if !self.word()?.eq_ignore_ascii_case("everything") {
                return Err(malformed("only USING SCOPE everything is known here"));
            }
        }
        let condition = if self.maybe("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        let (group_by, totals) = self.grouping()?;
        let having = if self.maybe("HAVING") {
            if group_by.is_empty() {
                return Err(malformed("HAVING needs GROUP BY"));
            }
            Some(self.condition()?)
        } else {
            None
        };
        let mut order_by = Vec::new();
        if self.maybe("ORDER") {
            self.keyword("BY")?;
            order_by.push(self.order()?);
            while self.sign(",") {
                order_by.push(self.order()?);
            }
        }
        let limit = if self.maybe("LIMIT") {
            Some(self.whole_number()?)
        } else {
            None
        };
        let offset = if self.maybe("OFFSET") {
            self.whole_number()?
        } else {
            0
        };
        if offset > 2000 {
            return Err(ApiError::new(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Maximum SOQL offset allowed is 2000",
            ));
        }
        if self.maybe("FOR") {
            self.word()?;
        }
        Ok(Query {
            select,
            from,
            alias,
            condition,
            group_by,
            totals,
            having,
            order_by,
            limit,
            offset,
        })
    }

    fn grouping(&mut self) -> Result<(Vec<Item>, Totals), ApiError> {
        if !self.maybe("GROUP") {
            return Ok((Vec::new(), Totals::None));
        }
        self.keyword("BY")?;
        let totals = if self.peek_call("ROLLUP") {
            Totals::Rollup
        } else if self.peek_call("CUBE") {
            Totals::Cube
        } else {
            Totals::None
        };
        if totals != Totals::None {
            self.place += 2;
        }
        let mut group_by = vec![self.item()?];
        while self.sign(",") {
            group_by.push(self.item()?);
        }
        if totals != Totals::None {
            self.expect(")")?;
            if group_by.len() > 3 {
                return Err(malformed("ROLLUP and CUBE take at most three fields"));
            }
        }
        Ok((group_by, totals))
    }

    fn children(&mut self) -> Result<Item, ApiError> {
        self.expect("(")?;
        self.depth += 1;
        if self.depth > 1 {
            return Err(malformed("child sub-selects do not nest here"));
        }
        let query = self.query()?;
        self.depth -= 1;
        self.expect(")")?;
        Ok(Item::Children(Box::new(query)))
    }

    fn type_of(&mut self) -> Result<Item, ApiError> {
        let relationship = self.names()?;
        let mut branches = Vec::new();
        while self.maybe("WHEN") {
            let object = self.word()?;
            self.keyword("THEN")?;
            branches.push((object, self.list_of_names()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.maybe("ELSE") {
            self.list_of_names()?
        } else {
            Vec::new()
        };
        self.keyword("END")?;
        Ok(Item::TypeOf(relationship, branches, otherwise))
    }

    fn list_of_names(&mut self) -> Result<Vec<Names>, ApiError> {
        let mut list = vec![self.names()?];
        while self.sign(",") {
            list.push(self.names()?);
        }
        Ok(list)
    }

    fn selected(&mut self) -> Result<(Item, Option<String>), ApiError> {
        if self.peek_sign("(") {
            return Ok((self.children()?, None));
        }
        if self
            .peek_word()
            .is_some_and(|word| word.eq_ignore_ascii_case("TYPEOF"))
        {
            self.place += 1;
            return Ok((self.type_of()?, None));
        }
        let item = self.item()?;
        let alias = match self.peek_word() {
            Some(word) if !word.eq_ignore_ascii_case("FROM") => Some(self.word()?),
            _ => None,
        };
        if alias.is_some() && matches!(item, Item::Group(_)) {
            return Err(self.unexpected());
        }
        Ok((item, alias))
    }

    fn item(&mut self) -> Result<Item, ApiError> {
        let names = self.names()?;
        let [name] = names.parts.as_slice() else {
            return Ok(Item::Field(names));
        };
        if !self.sign("(") {
            return Ok(Item::Field(names));
        }
        let upper = name.to_ascii_uppercase();
        let function = match upper.as_str() {
            "FIELDS" => {
                let group = self.word()?.to_ascii_uppercase();
                self.expect(")")?;
                return Ok(Item::Group(group));
            }
            // These change how a value is shown, and here every value is shown as it is.
            "TOLABEL" | "CONVERTCURRENCY" | "FORMAT" => {
                let names = self.names()?;
                self.expect(")")?;
                return Ok(Item::Field(names));
            }
            "GROUPING" => {
                let names = self.names()?;
                self.expect(")")?;
                return Ok(Item::Grouping(names));
            }
            "COUNT" => Function::Count,
            "COUNT_DISTINCT" => Function::CountDistinct,
            "SUM" => Function::Sum,
            "AVG" => Function::Avg,
            "MIN" => Function::Min,
            "MAX" => Function::Max,
            _ => {
                let function = DateFunction::named(&upper)
                    .ok_or_else(|| malformed(format!("unknown function: {name}")))?;
                let item = self.date_function(function)?;
                self.expect(")")?;
                return Ok(item);
            }
        };
        if function == Function::Count && self.sign(")") {
            return Ok(Item::Aggregate(function, None));
        }
        let argument = self.names()?;
        self.expect(")")?;
        Ok(Item::Aggregate(function, Some(argument)))
    }

    fn date_function(&mut self, mut function: DateFunction) -> Result<Item, ApiError> {
        if self.peek_call("CONVERTTIMEZONE") {
            self.place += 2;
            function.converted = true;
            let names = self.names()?;
            self.expect(")")?;
            return Ok(Item::Date(function, names));
        }
        Ok(Item::Date(function, self.names()?))
    }

    fn order(&mut self) -> Result<Order, ApiError> {
        let by = self.item()?;
        let descending = self.maybe("DESC");
        if !descending {
            self.maybe("ASC");
        }
        let mut nulls_last = false;
        if self.maybe("NULLS") {
            nulls_last = self.maybe("LAST");
            if !nulls_last {
                self.keyword("FIRST")?;
            }
        }
        Ok(Order {
            by,
            descending,
            nulls_last,
        })
    }

    /// Conditions joined by one kind of word: AND and OR may not be mixed without parentheses.
    fn condition(&mut self) -> Result<Condition, ApiError> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(ApiError::new(
                "QUERY_TOO_COMPLICATED",
                "Query is too complicated",
            ));
        }
        let first = self.simple()?;
        let word = ["AND", "OR"].into_iter().find(|word| {
            self.peek_word()
                .is_some_and(|next| next.eq_ignore_ascii_case(word))
        });
        let Some(word) = word else {
            self.depth -= 1;
            return Ok(first);
        };
        let mut parts = vec![first];
        while self.maybe(word) {
            parts.push(self.simple()?);
        }
        let mixed = ["AND", "OR"].iter().any(|other| {
            self.peek_word()
                .is_some_and(|next| next.eq_ignore_ascii_case(other))
        });
        if mixed {
            return Err(self.unexpected());
        }
        self.depth -= 1;
        Ok(if word == "AND" {
            Condition::All(parts)
        } else {
            Condition::Any(parts)
        })
    }

    fn simple(&mut self) -> Result<Condition, ApiError> {
        if self.maybe("NOT") {
            self.depth += 1;
            if self.depth > 200 {
                return Err(ApiError::new(
                    "QUERY_TOO_COMPLICATED",
                    "Query is too complicated",
                ));
            }
            let inner = self.simple()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.sign("(") {
            let inner = self.condition()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let item = self.item()?;
        if self.maybe("NOT") {
            self.keyword("IN")?;
            return self.list_or_join(item, true);
        }
        if self.maybe("IN") {
            return self.list_or_join(item, false);
        }
        let Item::Field(names) = item else {
            let comparison = self.comparison()?;
            return Ok(Condition::Compare(item, comparison, self.literal()?));
        };
        for (word, excluded) in [("INCLUDES", false), ("EXCLUDES", true)] {
            if self.maybe(word) {
                self.expect("(")?;
                return Ok(Condition::Includes(names, excluded, self.literals()?));
            }
        }
        let comparison = self.comparison()?;
        let literal = self.literal()?;
        Ok(Condition::Compare(Item::Field(names), comparison, literal))
    }

    fn list_or_join(&mut self, item: Item, negated: bool) -> Result<Condition, ApiError> {
        self.expect("(")?;
        if self
            .peek_word()
            .is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
        {
            let Item::Field(names) = item else {
                return Err(self.unexpected());
            };
            let query = self.query()?;
            self.expect(")")?;
            return Ok(Condition::Join(names, negated, Box::new(query)));
        }
        Ok(Condition::In(item, negated, self.literals()?))
    }

    /// Literals and the closing parenthesis.
    fn literals(&mut self) -> Result<Vec<Literal>, ApiError> {
        let mut literals = vec![self.literal()?];
        while self.sign(",") {
            literals.push(self.literal()?);
        }
        self.expect(")")?;
        Ok(literals)
    }

    fn comparison(&mut self) -> Result<Comparison, ApiError> {
        if self.maybe("LIKE") {
            return Ok(Comparison::Like);
        }
        let signs = [
            ("=", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<>", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in signs {
            if self.sign(sign) {
                return Ok(comparison);
            }
        }
        Err(self.unexpected())
    }

    fn literal(&mut self) -> Result<Literal, ApiError> {
        let Some(token) = self.peek() else {
            return Err(self.unexpected());
        };
        let literal = match &token.kind {
            Kind::Text(raw) => Literal::Text(raw.clone()),
            Kind::Literal(text) => Literal::Plain(text.clone()),
            Kind::Word(word) if word.eq_ignore_ascii_case("null") => Literal::Null,
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            Kind::Word(word) => {
                let name = word.to_ascii_uppercase();
                self.place += 1;
                let number = if self.sign(":") {
                    Some(i64::try_from(self.whole_number()?).unwrap_or(i64::MAX))
                } else {
                    None
                };
                return Ok(Literal::DateName(name, number));
            }
            Kind::Sign(_) => return Err(self.unexpected()),
        };
        self.place += 1;
        Ok(literal)
    }

    fn names(&mut self) -> Result<Names, ApiError> {
        let column = self.peek().map_or(0, |token| token.column);
        let mut parts = vec![self.word()?];
        while self.sign(".") {
            parts.push(self.word()?);
        }
        Ok(Names { parts, column })
    }

    fn whole_number(&mut self) -> Result<usize, ApiError> {
        let number = match self.peek().map(|token| &token.kind) {
            Some(Kind::Literal(text)) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                self.place += 1;
                Ok(number)
            }
            None => Err(self.unexpected()),
        }
    }

    fn word(&mut self) -> Result<String, ApiError> {
        match self.peek_word().map(str::to_owned) {
            Some(word) => {
                self.place += 1;
                Ok(word)
            }
            None => Err(self.unexpected()),
        }
    }

    fn keyword(&mut self, word: &str) -> Result<(), ApiError> {
        if self.maybe(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn maybe(&mut self, word: &str) -> bool {
        let here = self
            .peek_word()
            .is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.place += usize::from(here);
        here
    }

    fn expect(&mut self, sign: &str) -> Result<(), ApiError> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let here = self.peek_sign(sign);
        self.place += usize::from(here);
        here
    }

    fn peek_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token { kind: Kind::Sign(next), .. }) if *next == sign)
    }

    /// Whether a call of this function comes next.
    fn peek_call(&self, name: &str) -> bool {
        let opens = matches!(
            self.tokens.get(self.place + 1),
            Some(Token {
                kind: Kind::Sign("("),
                ..
            })
        );
        opens
            && self
                .peek_word()
                .is_some_and(|word| word.eq_ignore_ascii_case(name))
    }

    fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token {
                kind: Kind::Word(word),
                ..
            }) => Some(word),
            _ => None,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.place)
    }

    fn unexpected(&self) -> ApiError {
        match self.peek() {
            None => malformed("unexpected token: '<EOF>'"),
            Some(token) => {
                let text = match &token.kind {
                    Kind::Word(text) | Kind::Literal(text) | Kind::Text(text) => text,
                    Kind::Sign(sign) => *sign,
                };
                malformed(format!("unexpected token: '{text}'"))
            }
        }
    }
}
