//! Running a template.

use super::functions::Function;
use super::lex::error;
use super::parse::{Base, Command, Node, Operand, Pipeline, Target};
use super::{Position, TemplateError, Value};

/// Longer than any path that may be issued.
const OUTPUT_MAX: usize = 1 << 16;

pub(super) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let mut state = State { out: String::new(), variables: vec![("$", data.clone())] };
    state.nodes(nodes, data)?;
    Ok(state.out)
}

struct State<'t> {
    out: String,
    variables: Vec<(&'t str, Value)>,
}

impl<'t> State<'t> {
    fn nodes(&mut self, nodes: &'t [Node], dot: &Value) -> Result<(), TemplateError> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Result<(), TemplateError> {
        let variables = self.variables.len();
        match node {
            Node::Text(text) => self.out.push_str(text),
            // Variables of an action live on until the end of the block around it.
            Node::Print { value, at } => return self.print(value, *at, dot),
            Node::If { condition, then, otherwise } => {
                let holds = self.pipeline(condition, dot)?.is_true();
                self.nodes(if holds { then } else { otherwise }, dot)?;
            }
            Node::With { value, then, otherwise } => {
                let value = self.pipeline(value, dot)?;
                if value.is_true() { self.nodes(then, &value)? } else { self.nodes(otherwise, dot)? }
            }
            Node::Range { over, body, otherwise, at } => self.range(over, body, otherwise, *at, dot)?,
        }
        self.variables.truncate(variables);
        Ok(())
    }

    fn print(&mut self, pipeline: &'t Pipeline, at: Position, dot: &Value) -> Result<(), TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        if pipeline.target == Target::Value {
            value.print(&mut self.out);
        }
        if self.out.len() > OUTPUT_MAX { Err(error(at, "the path is too long")) } else { Ok(()) }
    }

    fn range(
        &mut self,
        over: &'t Pipeline,
        body: &'t [Node],
        otherwise: &'t [Node],
        at: Position,
        dot: &Value,
    ) -> Result<(), TemplateError> {
        let elements: Vec<(Value, Value)> = match self.commands(&over.commands, dot)? {
            Value::List(list) => (0_i64..).map(Value::Int).zip(list).collect(),
            Value::Map(map) => map.into_iter().map(|(name, value)| (Value::Text(name), value)).collect(),
            Value::Nil => Vec::new(),
            other => return Err(error(at, format!("range can't iterate over {}", other.kind()))),
        };
        if elements.is_empty() {
            return self.nodes(otherwise, dot);
        }
        let variables = self.variables.len();
        for (index, element) in elements {
            match &over.target {
                Target::Value => {}
                Target::Declare(names) => {
                    for (name, value) in loop_variables(names, &index, &element) {
                        self.variables.push((name, value));
                    }
                }
                Target::Assign(names) => {
                    for (name, value) in loop_variables(names, &index, &element) {
                        self.assign(name, value);
                    }
                }
            }
            self.nodes(body, &element)?;
            self.variables.truncate(variables);
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(&pipeline.commands, dot)?;
        match &pipeline.target {
            Target::Value => {}
            Target::Declare(names) => {
                self.variables.extend(names.iter().map(|name| (name.as_str(), value.clone())));
            }
            Target::Assign(names) => names.iter().for_each(|name| self.assign(name, value.clone())),
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) {
        // The parser has seen the variable in this scope.
        if let Some(slot) = self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            slot.1 = value;
        }
    }

    fn commands(&mut self, commands: &'t [Command], dot: &Value) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in commands {
            piped = Some(match command {
                Command::Operand(operand) => self.operand(operand, dot)?,
                Command::Call { function, arguments, at } => {
                    self.call(function, arguments, piped, *at, dot)?
                }
            });
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    fn call(
        &mut self,
        function: &Function,
        arguments: &'t [Operand],
        piped: Option<Value>,
        at: Position,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            let value = self.operand(argument, dot)?;
            if function.is_settled_by(&value) {
                return Ok(value);
            }
            values.push(value);
        }
        values.extend(piped);
        function.call(values).map_err(|text| error(at, format!("{}: {text}", function.name)))
    }

    fn operand(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, TemplateError> {
        let base = match &operand.base {
            Base::Dot => return select(dot, &operand.fields, operand.at),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| *known == name.as_str());
                let value = found.map_or(&Value::Nil, |(_, value)| value);
                return select(value, &operand.fields, operand.at);
            }
            Base::Literal(value) => return Ok(value.clone()),
            Base::Pipeline(pipeline) => self.commands(&pipeline.commands, dot)?,
            Base::Call(function) => self.call(function, &[], None, operand.at, dot)?,
        };
        select(&base, &operand.fields, operand.at)
    }
}

/// One variable takes the element, two take index or key and element.
fn loop_variables<'t>(names: &'t [String], index: &Value, element: &Value) -> Vec<(&'t str, Value)> {
    match names {
        [only] => vec![(only, element.clone())],
        [first, second, ..] => vec![(first, index.clone()), (second, element.clone())],
        [] => Vec::new(),
    }
}

fn select(value: &Value, fields: &[String], at: Position) -> Result<Value, TemplateError> {
    let mut value = value;
    for field in fields {
        value = match value {
            Value::Map(map) => {
                map.get(field).ok_or_else(|| error(at, format!("map has no entry for key {field:?}")))?
            }
            other => return Err(error(at, format!("can't evaluate field {field} in type {}", other.kind()))),
        };
    }
    Ok(value.clone())
}
