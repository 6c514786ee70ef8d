//! Captures of the configuration: which keys go with which.

use super::unique;
use crate::job::{Job, Placed};
use crate::model::{CaptureDirection, CaptureVerdict, JobModel};
use crate::report::{Code, Findings};
use crate::schema::reader::At;

/// The most jobs.
const MOST: usize = 256;

/// Checks the jobs.
pub(super) fn validate(models: Vec<JobModel>, findings: &mut Findings) -> Vec<Job> {
    unique("captures", models.iter().filter_map(|model| model.name.given()), findings);
    if let Some(name) = models.get(MOST).and_then(|model| model.name.given()) {
        findings.add(Code::TooLarge, &name.range, format!("there are more than {MOST} captures"));
    }
    models.iter().for_each(|model| check(model, findings));
    models.into_iter().filter_map(|model| job(model, findings)).collect()
}

/// Reports what does not go together.
fn check(model: &JobModel, findings: &mut Findings) {
    if let Some(direction) = model.direction.given().filter(|given| given.value != CaptureDirection::Both)
        && model.endpoint.is_absent()
    {
        let message = "a direction is seen from endpoints";
        findings.add(Code::Combination, &direction.range, message).help("say which, with `endpoint`");
    }
    if let Some(verdict) = model.verdict.given().filter(|given| given.value == CaptureVerdict::Allow)
        && !model.drop_reasons.is_absent()
    {
        let message = "what passes is dropped for no reason";
        let finding = findings.add(Code::Combination, &verdict.range, message);
        finding.help("with `drop_reasons`, `verdict` is \"drop\", or left out");
    }
    if let (Some(start), Some(end)) = (model.start.given(), model.end.given())
        && end.value <= start.value
    {
        let message = format!("expected an end behind the start, {}, found {}", start.value, end.value);
        findings.add(Code::Combination, &end.range, message);
    }
    if let Some(cron) = model.cron.given().filter(|_| model.duration.is_absent()) {
        let message = "a capture that begins again and again needs a `duration`";
        findings.add(Code::Combination, &cron.range, message).help("say how long it lasts each time");
    }
    if let Some(zone) = model.time_zone.given().filter(|_| model.cron.is_absent()) {
        let message = "`time_zone` is that of `cron`, and there is none";
        findings
            .add(Code::Combination, &zone.range, message)
            .help("`start` and `end` have an offset of their own");
    }
}

/// What a model describes. `None` if a key that it cannot do without is absent or unusable, which is reported.
fn job(model: JobModel, findings: &Findings) -> Option<Job> {
    let placed = |at: &At<String>| Placed { text: at.value.clone(), span: findings.span(&at.range) };
    let filter = model.filter.given().map(placed);
    let drop_reasons = model.drop_reasons.value().into_iter().flatten().map(placed).collect();
    Some(Job {
        name: model.name.into_value()?,
        endpoint: model.endpoint.into_value(),
        filter,
        direction: model.direction.into_value()?,
        verdict: model.verdict.into_value(),
        drop_reasons,
        point: model.point.into_value()?,
        tier: model.tier.into_value(),
        policy: model.policy.into_value(),
        rule: model.rule.into_value(),
        sample: model.sample.into_value()?,
        snaplen: model.snaplen.into_value()?,
        start: model.start.into_value(),
        end: model.end.into_value(),
        duration: model.duration.into_value(),
        cron: model.cron.into_value(),
        time_zone: model.time_zone.into_value().unwrap_or_default(),
        max_size: model.max_size.into_value(),
        max_packets: model.max_packets.into_value(),
        rotate_size: model.rotate_size.into_value(),
        rotate_time: model.rotate_time.into_value(),
        files: model.files.into_value(),
        format: model.format.into_value()?,
        compression: model.compression.into_value()?,
    })
}
