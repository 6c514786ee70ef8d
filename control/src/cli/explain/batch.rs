//! Many questions, one in each line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use serde_json::json;

use super::Reply;
use crate::{
    cli::Failure,
    policy::{Explainer, Question},
};

/// Bytes in a line at most: what is longer is no question.
const LINE: u64 = 64 * 1024;

/// Answers every line of `file`.
pub(super) fn run(explainer: &mut Explainer, file: &Path, fail_on_deny: bool) -> Result<(), Failure> {
    let result = if file == Path::new("-") {
        answer(explainer, BufReader::new(io::stdin()), io::stdout().lock())
    } else {
        let open = |error| Failure::usage(format_args!("cannot read `{}`: {error}", file.display()));
        answer(explainer, BufReader::new(File::open(file).map_err(open)?), io::stdout().lock())
    };
    let tally = match result {
        Ok(tally) => tally,
        // Nobody reads the answers any more, as behind `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => {
            return Err(Failure::failed(format_args!("the questions could not be answered: {error}")));
        }
    };
    match tally {
        Tally { wrong: 0, denied } if denied == 0 || !fail_on_deny => Ok(()),
        Tally { .. } => Err(Failure::failed("not every question was answered with allow").told()),
    }
}

/// What came of all questions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Lines that are no questions, or have no answer.
    wrong: u64,
    /// Flows that are not allowed.
    denied: u64,
}

/// Answers line by line, and hands over what it has whenever the next line is not there yet.
fn answer<R: Read>(
    explainer: &mut Explainer,
    mut questions: BufReader<R>,
    answers: impl Write,
) -> io::Result<Tally> {
    let mut answers = BufWriter::with_capacity(1 << 16, answers);
    let (mut tally, mut line) = (Tally::default(), Vec::new());
    for number in 1_u64.. {
        if !questions.buffer().contains(&b'\n') {
            answers.flush()?;
        }
        line.clear();
        if (&mut questions).take(LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let whole = line.ends_with(b"\n");
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answered = if whole || (line.len() as u64) < LINE {
            ask(explainer, &line, &mut answers)?
        } else {
            questions.skip_until(b'\n')?;
            Err(format!("the line is longer than {LINE} bytes"))
        };
        match answered {
            Ok(allowed) => tally.denied += u64::from(!allowed),
            Err(error) => {
                tally.wrong += 1;
                serde_json::to_writer(&mut answers, &json!({ "error": error, "line": number }))?;
            }
        }
        answers.write_all(b"\n")?;
    }
    answers.flush()?;
    Ok(tally)
}

/// Writes the answer to one line, and says whether it is to allow; or says what is wrong with the line.
fn ask(explainer: &mut Explainer, line: &[u8], answers: &mut impl Write) -> io::Result<Result<bool, String>> {
    let question: Question = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let found = match explainer.ask(&question) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let reply = Reply::of(&found);
    serde_json::to_writer(answers, &reply)?;
    Ok(Ok(reply.is_allowed()))
}
