//! Threat feeds: which keys go with which, and the feed that is there without being declared.

use super::unique;
use crate::feed::{
    BUILT_IN, Column, CsvLayout, Feed, FeedHeader, FeedList, FeedSource, HeaderValue, JsonLayout,
    built_in_url,
};
use crate::model::{CsvModel, FeedAction, FeedDirection, FeedFormat, FeedHeaderModel, FeedModel, JsonModel};
use crate::report::{Code, Findings, Place};
use crate::resources::Labels;
use crate::schema::reader::{At, Field, Reader};
use std::path::PathBuf;
use toml::de::DeTable;

/// The most characters of a feed's name.
const NAME_MAX: usize = 64;

/// A copy is stale when it was not confirmed for so many periods, unless the feed says otherwise.
const STALE_PERIODS: u32 = 2;

/// Checks the feeds, and makes the complete list of them.
pub(super) fn validate(models: Vec<FeedModel>, findings: &mut Findings) -> Option<FeedList> {
    unique("feeds", models.iter().filter_map(|model| model.name.given()), findings);
    let last = models.last().and_then(|model| model.name.given()).map(|name| name.range.clone());
    let feeds: Vec<_> = models
        .into_iter()
        .map(|mut model| {
            check(&model, findings);
            relative(&mut model, findings);
            feed(model)
        })
        .collect();
    let list = FeedList::new(feeds.into_iter().collect::<Option<_>>()?);
    if let (None, Some(last)) = (&list, last) {
        let message = format!("there are more than {} feeds, `{BUILT_IN}` included", FeedList::MAX);
        findings.add(Code::TooLarge, last, message);
    }
    list
}

/// The feed that is there without being declared, as if somebody had written its name.
pub(crate) fn built_in_feed() -> Option<Feed> {
    let text = format!("name = '{BUILT_IN}'");
    let table = DeTable::parse(&text).ok()?;
    feed(Reader::new(&table, &mut Findings::default()).finish(FeedModel::read))
}

/// Reports what does not go together in one feed.
fn check(model: &FeedModel, findings: &mut Findings) {
    source(model, findings);
    layout(model, findings);
    in_kernel(model, findings);
    for header in &model.headers {
        let Some(name) = header.name.given() else { continue };
        let ways = [header.value.is_absent(), header.env.is_absent(), header.file.is_absent()];
        if ways.iter().filter(|absent| !**absent).count() != 1 {
            let message = format!("the header `{}` has one of `value`, `env` and `file`", name.value);
            findings.add(Code::Combination, &name.range, message);
        }
    }
}

fn source(model: &FeedModel, findings: &mut Findings) {
    let Some(name) = model.name.given() else { return };
    if name.value.len() > NAME_MAX {
        let message = format!("the name of a feed has at most {NAME_MAX} characters");
        findings.add(Code::Malformed, &name.range, message).help("a file is called after it");
    }
    if model.url.is_absent() && model.file.is_absent() && name.value != BUILT_IN {
        let message = format!("the feed `{}` has neither `url` nor `file`", name.value);
        findings.add(Code::MissingKey, &name.range, message).help("say where it comes from");
    }
    if let Some(file) = model.file.given() {
        let mut refuse = |place: &Place, key: &str| {
            let message = format!("a feed that is a file has no `{key}`");
            findings.add(Code::Combination, place, message);
        };
        model.url.given().into_iter().for_each(|_| refuse(&file.range, "url"));
        model.period.given().into_iter().for_each(|period| refuse(&period.range, "period"));
        let headers = model.headers.first().and_then(|header| header.name.given());
        headers.into_iter().for_each(|name| refuse(&name.range, "headers"));
    }
    if let (Some(after), Some(period), true) =
        (model.stale_after.given(), model.period.value(), model.file.is_absent())
        && after.value <= *period
    {
        let message = "a copy would be stale before it is fetched again";
        let finding = findings.add(Code::Combination, &after.range, message);
        finding.help(format!("its `period` is \"{}\"", crate::duration::show(*period)));
    }
    if let Some(url) = model.url.given().filter(|url| !url.value.is_https()) {
        if !model.headers.is_empty() || url.value.has_user() {
            let message = "what this URL is fetched with can be read by anyone on the way";
            findings.add(Code::PlainHttp, &url.range, message).help("use https");
        } else if model.sha256.is_absent() && model.minisign_key.is_absent() {
            let message = "what this URL gives can be changed by anyone on the way";
            findings
                .add(Code::PlainHttp, &url.range, message)
                .help("use https, or give its `sha256` or `minisign_key`");
        }
    }
}

/// Reports `drop_in_kernel` where a worker would let some of what comes from a listed address pass.
fn in_kernel(model: &FeedModel, findings: &mut Findings) {
    let Some(given) = model.drop_in_kernel.given().filter(|given| given.value) else { return };
    if model.action.value() == Some(&FeedAction::Alert) {
        let message = "what only raises alerts cannot be dropped in the kernel";
        findings.add(Code::Combination, &given.range, message).help("say `action = \"block\"`");
    } else if model.direction.value().is_some_and(|direction| *direction != FeedDirection::Both) {
        let message = "what is blocked in one direction cannot be dropped in the kernel, which does not know who opened a flow";
        findings.add(Code::Combination, &given.range, message).help("say `direction = \"both\"`");
    }
}

/// Reports `csv` and `json` where the format is another.
fn layout(model: &FeedModel, findings: &mut Findings) {
    let (Some(name), Some(format)) = (model.name.given(), model.format.value()) else { return };
    let place = model.format.given().map_or(&name.range, |format| &format.range);
    let is_json = matches!(format, FeedFormat::Json | FeedFormat::JsonLines);
    let problem = if model.csv.is_some() && *format != FeedFormat::Csv {
        "`csv` says where values stand in the format \"csv\", and only there"
    } else if model.json.is_some() && !is_json {
        "`json` says where values stand in the formats \"json\" and \"json-lines\", and only there"
    } else if model.json.is_none() && is_json {
        "with this format, `json` has to say where values stand"
    } else if let Some(header) = model.csv.as_deref().and_then(|csv| names_nothing(csv)) {
        let message = "without a header, a column is given by its number";
        findings.add(Code::Combination, &header.range, message);
        return;
    } else {
        return;
    };
    findings.add(Code::Combination, place, problem);
}

/// `header = false` where a column is given by its name.
fn names_nothing(csv: &CsvModel) -> Option<&At<bool>> {
    csv.header.given().filter(|header| !header.value && has_names(csv))
}

fn has_names(csv: &CsvModel) -> bool {
    [csv.column.value(), csv.port.value()].iter().any(|column| matches!(column, Some(Column::Name(_))))
}

/// Makes paths relative to the working directory; they are written relative to the directory of their file.
fn relative(model: &mut FeedModel, findings: &Findings) {
    let headers = model.headers.iter_mut().filter_map(|header| header.file.given_mut());
    for file in headers.chain(model.file.given_mut()) {
        file.value = findings.sources().directory(&file.range).join(&file.value);
    }
}

/// What a model describes. `None` if a key that it cannot do without is absent or unusable, which is reported.
fn feed(model: FeedModel) -> Option<Feed> {
    let name = model.name.into_value()?;
    let is_built_in = name == BUILT_IN && model.url.is_absent() && model.file.is_absent();
    let url = if is_built_in { built_in_url() } else { model.url.into_value() };
    let headers: Option<_> = model.headers.into_iter().map(header).collect();
    let stale_after = match (model.stale_after.into_value(), model.file.is_absent()) {
        (Some(after), _) => Some(after),
        (None, true) => model.period.value().map(|period| *period * STALE_PERIODS),
        (None, false) => None,
    };
    let source = match (url, model.file.into_value()) {
        (Some(url), None) => FeedSource::Url { url, period: model.period.into_value()?, headers: headers? },
        (None, Some(file)) => FeedSource::File { file },
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let format = match model.format {
        Field::Absent(_) if is_built_in => FeedFormat::FeodoCsv,
        format @ (Field::Given(_) | Field::Absent(_) | Field::Unusable) => format.into_value()?,
    };
    Some(Feed {
        source,
        format,
        csv: model.csv.and_then(|model| csv(*model)),
        json: model.json.and_then(|model| json(*model)),
        stale_after,
        labels: model.labels.into_value().unwrap_or_else(|| Labels::from_iter([("feed", name.as_str())])),
        action: model.action.into_value()?,
        direction: model.direction.into_value()?,
        drop_in_kernel: model.drop_in_kernel.into_value()?,
        severity: model.severity.into_value()?,
        mode: model.mode.into_value()?,
        max_size: model.max_size.into_value()?,
        max_entries: model.max_entries.into_value()?,
        sha256: model.sha256.into_value(),
        minisign_key: model.minisign_key.into_value(),
        shrink: model.shrink.into_value()?,
        name,
    })
}

fn header(model: FeedHeaderModel) -> Option<FeedHeader> {
    let ways: (_, _, Option<PathBuf>) =
        (model.value.into_value(), model.env.into_value(), model.file.into_value());
    let value = match ways {
        (Some(text), None, None) => HeaderValue::Text(text),
        (None, Some(name), None) => HeaderValue::Env(name),
        (None, None, Some(file)) => HeaderValue::File(file),
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) | (None, None, None) => {
            return None;
        }
    };
    Some(FeedHeader { name: model.name.into_value()?, value })
}

fn csv(model: CsvModel) -> Option<CsvLayout> {
    let has_names = has_names(&model);
    Some(CsvLayout {
        column: model.column.into_value()?,
        port: model.port.into_value(),
        delimiter: model.delimiter.into_value()?,
        comment: model.comment.into_value()?,
        header: model.header.into_value().unwrap_or(has_names),
    })
}

fn json(model: JsonModel) -> Option<JsonLayout> {
    Some(JsonLayout { path: model.path.into_value()?, port: model.port.into_value() })
}
