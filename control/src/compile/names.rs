use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use ravelin_config::types::RuleName;
use ravelin_dataplane::policy::RuleId;

use super::CompileError;

/// The numbers of rule names. A name gets its number when it is first seen and keeps it for the life of the process, so that
/// a record of a flow that outlives a reload still names the rule that decided.
#[derive(Debug, Default)]
pub struct RuleNames {
    ids: HashMap<RuleName, RuleId>,
    /// The name of each number from 1 on. Only ever grows.
    names: Arc<RwLock<Vec<RuleName>>>,
}

impl RuleNames {
    /// No names yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of `name`, a new one if it has none.
    ///
    /// # Errors
    /// [`CompileError::RuleNamesExhausted`] if all of 1 to 65535 are taken.
    pub fn intern(&mut self, name: &RuleName) -> Result<RuleId, CompileError> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let mut names = self.names.write();
        let id = u16::try_from(names.len() + 1)
            .map(RuleId)
            .map_err(|_| CompileError::RuleNamesExhausted { rule: name.clone() })?;
        names.push(name.clone());
        self.ids.insert(name.clone(), id);
        Ok(id)
    }

    /// A view for another thread. It sees names that are added later.
    pub fn reader(&self) -> RuleNamesReader {
        RuleNamesReader { shared: Arc::clone(&self.names), seen: Vec::new() }
    }
}

/// Turns rule numbers back into names. Takes a lock only for a number that it has not seen, since names never change.
#[derive(Clone, Debug, Default)]
pub struct RuleNamesReader {
    shared: Arc<RwLock<Vec<RuleName>>>,
    seen: Vec<RuleName>,
}

impl RuleNamesReader {
    /// The name of a rule; `None` for [`RuleId::NONE`] and for numbers that were never given.
    pub fn name(&mut self, rule: RuleId) -> Option<&RuleName> {
        let index = usize::from(rule.0).checked_sub(1)?;
        if index >= self.seen.len() {
            let shared = self.shared.read();
            self.seen.extend_from_slice(shared.get(self.seen.len()..).unwrap_or_default());
        }
        self.seen.get(index)
    }
}
