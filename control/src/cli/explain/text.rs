//! Answers for people.

use std::fmt::Write;

use super::Reply;
use crate::policy::{Answer, Explainer, Question, SideAnswer, Verdicts};

/// All answers to a question: one block for each.
pub(super) fn replies(explainer: &Explainer, question: &Question, answers: &[Answer]) -> String {
    let mut text = String::new();
    if let Reply::Several { verdict, pending, answers } = Reply::of(answers) {
        line(&mut text, format_args!("{verdict}: {} has {} endpoints", question.to, answers.len()));
        if pending.verdict != verdict {
            line(&mut text, format_args!("with every staged policy: {}", pending.verdict));
        }
        text.push('\n');
    }
    text.push_str(&without_zone(explainer, question));
    let blocks: Vec<_> = answers.iter().map(|answer| block(explainer, question, answer)).collect();
    text.push_str(blocks.join("\n").trim_end());
    text
}

/// That an end is taken to be in no zone although rules ask for zones: a line, or nothing.
pub(in crate::cli) fn without_zone(explainer: &Explainer, question: &Question) -> String {
    let which = match (&question.from_zone, &question.to_zone) {
        (None, None) => "neither end is",
        (None, Some(_)) => "the source is not",
        (Some(_), None) => "the destination is not",
        (Some(_), Some(_)) => return String::new(),
    };
    if !explainer.policy().uses_zones() {
        return String::new();
    }
    format!(
        "{which} said to be in a zone (from_zone, to_zone), so it is in none, as the appliance itself is\n"
    )
}

/// The way of one flow, for what is about a single one.
pub(in crate::cli) fn block(explainer: &Explainer, question: &Question, answer: &Answer) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{}: {}", answer.enforced.verdict, flow(explainer, question, answer)));
    way(&mut text, &answer.enforced);
    if answer.pending != answer.enforced {
        line(&mut text, format_args!("with every staged policy: {}", answer.pending.verdict));
        way(&mut text, &answer.pending);
    }
    text
}

/// Who talks to whom, about what.
fn flow(explainer: &Explainer, question: &Question, answer: &Answer) -> String {
    let end = |address| match explainer.endpoint_of(address) {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    };
    let (from, to) = (end(answer.source), end(answer.destination));
    Question { from, to, port: answer.port.or(question.port), ..question.clone() }.to_string()
}

/// Both sides.
fn way(text: &mut String, verdicts: &Verdicts) {
    match (&verdicts.egress, &verdicts.ingress) {
        (None, None) => {
            line(text, format_args!("  neither end is an endpoint: `unknown` of [enforcement] decides"));
        }
        (egress, ingress) => {
            let denied = egress.as_ref().is_some_and(|side| side.verdict != "allow");
            side(text, "egress", egress.as_ref(), "the source is no endpoint");
            let why = if denied { "not asked" } else { "the destination is no endpoint" };
            side(text, "ingress", ingress.as_ref(), why);
        }
    }
}

fn side(text: &mut String, direction: &str, side: Option<&SideAnswer>, why_not: &str) {
    let Some(side) = side else {
        line(text, format_args!("  {direction}: {why_not}"));
        return;
    };
    line(text, format_args!("  {direction} of {}: {}", side.endpoint, side.verdict));
    for (entry, rule) in side.trace.iter().zip(&side.rules) {
        line(text, format_args!("    {entry}\n      {rule}"));
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{line}");
}
