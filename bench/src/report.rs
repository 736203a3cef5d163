//! Figures, for people and for programs.

use crate::machine::Machine;
use anyhow::Result;
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// To which cell it belongs.
    pub(crate) cell: &'static str,
    /// Of what.
    pub(crate) what: String,
    /// In which unit.
    pub(crate) unit: &'static str,
    /// The figure.
    pub(crate) value: f64,
    /// What it cannot be less than, measured in the same moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    /// How many times the floor it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// What Finial's ratio (or, without a floor, its value) should be at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Row {
    /// A figure.
    pub(crate) fn new(cell: &'static str, what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { cell, what: what.into(), unit, value, floor: None, ratio: None, goal: None, note: None }
    }

    /// Microseconds of CPU time of the server.
    pub(crate) fn cpu(cell: &'static str, what: impl Into<String>, value: f64) -> Self {
        Self::new(cell, what, "µs CPU", value)
    }

    /// Beside the bare cost.
    pub(crate) fn floor(self, floor: f64, ratio: f64) -> Self {
        Self { floor: Some(floor), ratio: Some(ratio), ..self }
    }

    /// What the ratio should be.
    pub(crate) fn ratio_goal(self, goal: Option<f64>) -> Self {
        Self { goal, ..self }
    }

    /// What the value should be.
    pub(crate) fn value_goal(self, goal: Option<f64>) -> Self {
        Self { goal, ..self }
    }

    /// More about it.
    pub(crate) fn note(self, note: String) -> Self {
        Self { note: Some(note), ..self }
    }

    fn verdict(&self) -> String {
        let Some(goal) = self.goal else { return String::new() };
        let (found, mark) = match self.ratio {
            Some(ratio) => (ratio, "×"),
            None => (self.value, ""),
        };
        let word = if found <= goal { "met" } else { "MISSED" };
        format!("{goal}{mark} {word}")
    }
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Option<Machine>,
    products: Vec<Figures>,
}

#[derive(Debug, Serialize)]
struct Figures {
    product: &'static str,
    rows: Vec<Row>,
}

impl Report {
    /// An empty report of these products.
    pub(crate) fn new(products: impl Iterator<Item = &'static str>) -> Self {
        let products = products.map(|product| Figures { product, rows: Vec::new() }).collect();
        Self { machine: None, products }
    }

    /// Adds figures of a product.
    pub(crate) fn add(&mut self, product: &str, rows: Vec<Row>) {
        let figures = self.products.iter_mut().filter(|figures| figures.product == product);
        figures.for_each(|figures| figures.rows.extend(rows.iter().cloned()));
    }

    /// Says where it was.
    pub(crate) fn finish(&mut self, machine: Machine) {
        self.machine = Some(machine);
    }

    /// For programs.
    pub(crate) fn print_json(&self) -> Result<()> {
        println!("{}", serde_json::to_string_pretty(self)?);
        Ok(())
    }

    /// For people.
    pub(crate) fn print_table(&self) -> Result<()> {
        let mut lines = vec![self.heading()];
        let rows = self.products.first().map_or(&[][..], |figures| &figures.rows);
        lines.extend(rows.iter().enumerate().map(|(number, row)| self.line(number, row)));
        let width = |column: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|text| text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (text, width))| {
                // Words to the left, figures to the right.
                if column < 3 { format!("{text:<width$}") } else { format!("{text:>width$}") }
            });
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        if let Some(machine) = &self.machine {
            let Machine { processors, processor, kernel, load_average, steal_percent, .. } = machine;
            println!(
                "\n{processors} × {processor}, Linux {kernel}; load {load_average}, steal {steal_percent:.1} %"
            );
        }
        Ok(())
    }

    fn heading(&self) -> Vec<String> {
        let mut heading: Vec<String> =
            ["cell", "what", "unit", "Finial", "floor", "ratio", "goal"].map(str::to_owned).into();
        for other in self.products.iter().skip(1) {
            heading.extend([other.product.to_owned(), format!("{} / Finial", other.product)]);
        }
        heading.push(String::new());
        heading
    }

    fn line(&self, number: usize, row: &Row) -> Vec<String> {
        let show =
            |figure: Option<f64>, mark: &str| figure.map_or_else(String::new, |f| number_text(f) + mark);
        let mut line =
            vec![row.cell.to_owned(), row.what.clone(), row.unit.to_owned(), number_text(row.value)];
        line.extend([show(row.floor, ""), show(row.ratio, "×"), row.verdict()]);
        for other in self.products.iter().skip(1) {
            let other = other.rows.get(number).map(|row| row.value);
            line.extend([show(other, ""), show(other.map(|other| other / row.value), "×")]);
        }
        line.push(row.note.clone().unwrap_or_default());
        line
    }
}

/// Three digits or so.
fn number_text(number: f64) -> String {
    match number.abs() {
        0.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The smallest figure that at least this share of them does not exceed; not a number if there are none.
pub(crate) fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil().max(1.0);
    sorted.get(rank as usize - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        let figures = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!((median(&figures), quantile(&figures, 0.99), quantile(&figures, 0.0)), (3.0, 5.0, 1.0));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_goal_is_for_the_ratio_where_there_is_a_floor() {
        let row = Row::cpu("x509", "", 100.0).ratio_goal(Some(1.2));
        assert_eq!(row.clone().verdict(), "1.2 MISSED");
        assert_eq!(row.floor(90.0, 1.11).verdict(), "1.2× met");
    }
}
