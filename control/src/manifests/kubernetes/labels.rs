use std::collections::BTreeMap;

use ravelin_config::selector::{Comparison, Expression};

use crate::manifests::fields::{At, Fault};

/// The terms of a label selector, all of which must hold.
pub(super) fn terms(at: &At<'_>) -> Result<Vec<Expression>, Fault> {
    let mut selector = at.fields()?;
    let mut terms = selector.get("matchLabels").map_or(Ok(Vec::new()), |labels| equal(&labels))?;
    for at in selector.list("matchExpressions")? {
        let mut term = at.fields()?;
        let key = term.need("key")?.text()?.to_owned();
        let operator = term.need("operator")?;
        let values: Vec<String> = term
            .list("values")?
            .iter()
            .map(|value| value.text().map(str::to_owned))
            .collect::<Result<_, _>>()?;
        term.finish()?;
        terms.push(match (operator.text()?, values.is_empty()) {
            ("In", false) => Expression::In(key, values),
            ("NotIn", false) => Expression::NotIn(key, values),
            ("Exists", true) => Expression::Has(key),
            ("DoesNotExist", true) => Expression::Not(Box::new(Expression::Has(key))),
            ("In" | "NotIn", true) => return Err(at.fault("`values` are missing")),
            ("Exists" | "DoesNotExist", false) => {
                return Err(at.fault("`values` are not possible with this operator"));
            }
            _ => return Err(operator.fault("expected In, NotIn, Exists or DoesNotExist")),
        });
    }
    selector.finish()?;
    Ok(terms)
}

/// That all these labels have these values.
pub(super) fn equal(labels: &At<'_>) -> Result<Vec<Expression>, Fault> {
    let labels: BTreeMap<String, String> = labels.texts()?;
    let equal = |(label, value)| Expression::Compare { label, comparison: Comparison::Equal, value };
    Ok(labels.into_iter().map(equal).collect())
}
