//! The structure of a template, with everything checked that can be known without data.

use super::functions::{self, Function};
use super::lex::{Kind, Token, error, lex};
use super::{Position, TemplateError, Value};

/// Deep enough for any name, and shallow enough for any stack.
const DEPTH_MAX: u32 = 64;

/// A template and the fields of the data that it uses.
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    pub(super) fields: Vec<(String, Position)>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Print { value: Pipeline, at: Position },
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipeline, body: Vec<Node>, otherwise: Vec<Node>, at: Position },
}

#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) target: Target,
    pub(super) commands: Vec<Command>,
}

/// What becomes of a pipeline's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Value,
    /// One variable, or two for a `range`.
    Declare(Vec<String>),
    Assign(Vec<String>),
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    Operand(Operand),
    Call { function: &'static Function, arguments: Vec<Operand>, at: Position },
}

#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
    pub(super) at: Position,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Pipeline(Box<Pipeline>),
    /// A function without arguments as an argument of another.
    Call(&'static Function),
}

pub(super) fn parse(text: &str) -> Result<Parsed, TemplateError> {
    let tokens = lex(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: Position { line: 1, column: 1 },
        depth: 0,
        moved_dot: 0,
        variables: vec!["$".to_owned()],
        fields: Vec::new(),
    };
    let (nodes, stop) = parser.nodes()?;
    match stop {
        Stop::End => Ok(Parsed { nodes, fields: parser.fields }),
        Stop::Word(word, at) => Err(error(at, format!("unexpected {{{{{word}}}}}"))),
    }
}

/// Where a list of nodes ends.
enum Stop {
    End,
    /// `end` or `else`; the rest of the action is still to be read.
    Word(&'static str, Position),
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: Position,
    depth: u32,
    /// In how many blocks `.` is not the data.
    moved_dot: u32,
    variables: Vec<String>,
    fields: Vec<(String, Position)>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.next)?;
        self.next += 1;
        self.end = token.at;
        Some(token)
    }

    fn at(&self) -> Position {
        self.tokens.get(self.next).map_or(self.end, |token| token.at)
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == DEPTH_MAX {
            return Err(error(self.at(), "nested too deeply"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(token) = self.take() {
            if let Kind::Text(text) = &token.kind {
                nodes.push(Node::Text(text.clone()));
                continue;
            }
            let at = self.at();
            let word = match self.peek() {
                Some(Kind::Word(word)) => word.as_str(),
                _ => "",
            };
            match word {
                "end" | "else" => {
                    self.take();
                    return Ok((nodes, Stop::Word(if word == "end" { "end" } else { "else" }, at)));
                }
                "if" | "with" | "range" => {
                    self.take();
                    nodes.push(self.deeper(|parser| parser.block(word, at))?);
                }
                "define" | "template" | "block" | "break" | "continue" => {
                    return Err(error(
                        at,
                        format!("{{{{{word}}}}} is not supported in agent path templates"),
                    ));
                }
                _ => {
                    let value = self.pipeline(&Kind::Close)?;
                    check_targets(&value, "", at)?;
                    nodes.push(Node::Print { value, at });
                }
            }
        }
        Ok((nodes, Stop::End))
    }

    /// `if`, `with` or `range`, after its word and up to its `end`.
    fn block(&mut self, word: &str, at: Position) -> Result<Node, TemplateError> {
        let variables = self.variables.len();
        let head = self.pipeline(&Kind::Close)?;
        check_targets(&head, word, at)?;
        let moves_dot = u32::from(word != "if");
        self.moved_dot += moves_dot;
        let (then, stop) = self.nodes()?;
        self.moved_dot -= moves_dot;
        let otherwise = match stop {
            Stop::End => return Err(error(at, format!("{{{{{word}}}}} has no {{{{end}}}}"))),
            Stop::Word("else", else_at) => self.otherwise(word, else_at)?,
            Stop::Word(..) => {
                self.close()?;
                Vec::new()
            }
        };
        self.variables.truncate(variables);
        Ok(match word {
            "if" => Node::If { condition: head, then, otherwise },
            "with" => Node::With { value: head, then, otherwise },
            _ => Node::Range { over: head, body: then, otherwise, at },
        })
    }

    /// What follows `else`, up to the `end` of the whole.
    fn otherwise(&mut self, word: &str, at: Position) -> Result<Vec<Node>, TemplateError> {
        match self.peek() {
            Some(Kind::Word(again)) if again == word && word != "range" => {
                let again_at = self.at();
                self.take();
                Ok(vec![self.deeper(|parser| parser.block(word, again_at))?])
            }
            _ => {
                self.close()?;
                match self.nodes()? {
                    (nodes, Stop::Word("end", _)) => {
                        self.close()?;
                        Ok(nodes)
                    }
                    (_, Stop::Word(_, again)) => Err(error(again, "expected {{end}}, found {{else}}")),
                    (_, Stop::End) => Err(error(at, "{{else}} has no {{end}}")),
                }
            }
        }
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        let at = self.at();
        match self.take().map(|token| &token.kind) {
            Some(Kind::Close) => Ok(()),
            _ => Err(error(at, "expected }} here")),
        }
    }

    /// A pipeline with the token that ends it.
    fn pipeline(&mut self, until: &Kind) -> Result<Pipeline, TemplateError> {
        let start = self.at();
        let target = self.target()?;
        let mut commands = Vec::new();
        loop {
            let is_piped = !commands.is_empty();
            commands.push(self.command(is_piped)?);
            let at = self.at();
            match self.take().map(|token| &token.kind) {
                Some(Kind::Pipe) => {}
                Some(kind) if kind == until => break,
                Some(_) => return Err(error(at, "unexpected token")),
                None => return Err(error(start, "unclosed action")),
            }
        }
        // A variable is not there yet in its own definition.
        if let Target::Declare(names) = &target {
            self.variables.extend(names.iter().cloned());
        }
        Ok(Pipeline { target, commands })
    }

    fn target(&mut self) -> Result<Target, TemplateError> {
        let before = self.next;
        let mut names = Vec::new();
        while let Some(Kind::Variable(name)) = self.peek() {
            let at = self.at();
            self.take();
            names.push(name.clone());
            match self.peek() {
                Some(Kind::Comma) if names.len() == 1 => {
                    self.take();
                }
                Some(Kind::Declare) if name.len() > 1 => {
                    self.take();
                    return Ok(Target::Declare(names));
                }
                Some(Kind::Assign) => {
                    self.take();
                    for name in &names {
                        self.require_variable(name, at)?;
                    }
                    return Ok(Target::Assign(names));
                }
                _ => break,
            }
        }
        self.next = before;
        Ok(Target::Value)
    }

    fn require_variable(&self, name: &String, at: Position) -> Result<(), TemplateError> {
        if self.variables.contains(name) {
            Ok(())
        } else {
            Err(error(at, format!("undefined variable {name:?}")))
        }
    }

    fn command(&mut self, is_piped: bool) -> Result<Command, TemplateError> {
        let at = self.at();
        let function = match self.peek() {
            Some(Kind::Word(word)) if !is_constant(word) => {
                Some(functions::find(word).map_err(|text| error(at, text))?)
            }
            _ => None,
        };
        if let Some(function) = function {
            self.take();
            let arguments = self.operands()?;
            function.check_call(&arguments, is_piped).map_err(|text| error(at, text))?;
            return Ok(Command::Call { function, arguments, at });
        }
        let mut operands = self.operands()?.into_iter();
        match (operands.next(), operands.next()) {
            (None, _) => Err(error(at, "missing value")),
            (Some(_), Some(extra)) => Err(error(extra.at, "only a function takes arguments")),
            (Some(_), None) if is_piped => Err(error(at, "only a function can be piped into")),
            (Some(operand), None) => match operand.base {
                Base::Literal(Value::Nil) => Err(error(at, "nil is not a command")),
                _ => Ok(Command::Operand(operand)),
            },
        }
    }

    fn operands(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        Ok(operands)
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let at = self.at();
        let mut fields = Vec::new();
        let base = match self.peek() {
            Some(Kind::Dot) => Base::Dot,
            Some(Kind::Field(name)) => {
                fields.push(name.clone());
                Base::Dot
            }
            Some(Kind::Variable(name)) => {
                self.require_variable(name, at)?;
                Base::Variable(name.clone())
            }
            Some(Kind::Str(text)) => Base::Literal(Value::Text(text.clone())),
            Some(Kind::Int(number)) => Base::Literal(Value::Int(*number)),
            Some(Kind::Word(word)) => match word.as_str() {
                "true" => Base::Literal(Value::Bool(true)),
                "false" => Base::Literal(Value::Bool(false)),
                "nil" => Base::Literal(Value::Nil),
                name => {
                    let function = functions::find(name).map_err(|text| error(at, text))?;
                    function.check_call(&[], false).map_err(|text| error(at, text))?;
                    Base::Call(function)
                }
            },
            Some(Kind::LeftParen) => {
                self.take();
                let inner = self.deeper(|parser| parser.pipeline(&Kind::RightParen))?;
                if inner.target != Target::Value {
                    return Err(error(at, "a variable cannot be set inside of parentheses"));
                }
                Base::Pipeline(Box::new(inner))
            }
            _ => return Ok(None),
        };
        if !matches!(base, Base::Pipeline(_)) {
            self.take();
        }
        self.chain(&base, &mut fields)?;
        self.note_field(&base, &fields, at);
        Ok(Some(Operand { base, fields, at }))
    }

    /// The `.A.B` that follow an operand without a space.
    fn chain(&mut self, base: &Base, fields: &mut Vec<String>) -> Result<(), TemplateError> {
        while let Some(Token { kind: Kind::Field(name), at, joined: true }) = self.tokens.get(self.next) {
            if matches!(base, Base::Literal(_) | Base::Call(_)) {
                return Err(error(*at, format!("unexpected .{name} after a value without fields")));
            }
            fields.push(name.clone());
            self.take();
        }
        Ok(())
    }

    fn note_field(&mut self, base: &Base, fields: &[String], at: Position) {
        let is_of_data = match base {
            Base::Dot => self.moved_dot == 0,
            Base::Variable(name) => name == "$",
            _ => false,
        };
        if let (true, Some(first)) = (is_of_data, fields.first()) {
            self.fields.push((first.clone(), at));
        }
    }
}

/// Only a `range` gives two values.
fn check_targets(pipeline: &Pipeline, word: &str, at: Position) -> Result<(), TemplateError> {
    match &pipeline.target {
        Target::Declare(names) | Target::Assign(names) if names.len() > 1 && word != "range" => {
            Err(error(at, "too many declarations"))
        }
        _ => Ok(()),
    }
}

fn is_constant(word: &str) -> bool {
    matches!(word, "true" | "false" | "nil")
}
