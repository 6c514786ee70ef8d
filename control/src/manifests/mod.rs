//! Manifests of Kubernetes and Calico, turned into resources of policy.
//!
//! ```text
//! bytes > yaml (documents, trees with lines) > object (kind, name; lists) > kubernetes/, calico/ > Resources
//!                                                                                \---------> Remarks
//! ```
//!
//! [`import`] is a function of its arguments alone; [`Importer`] does the same for many files, [`load()`] reads them. One file
//! for each family of kinds; what they mean is Calico's own mapping of them.
//!
//! Promises: whatever bytes come in, the answer is a value, within a memory that does not grow beyond a multiple of the
//! file's size; everything that does not come over as it was written has a [`Remark`]; nothing that could not be understood
//! lets a flow pass: an allow rule with such a part is left out, any other denies everything. Refuses: to guess, and to ask a
//! cluster. Read next: `object.rs`, then `kubernetes/network_policy.rs` as an example.

mod calico;
mod fields;
mod kubernetes;
mod load;
mod object;
pub mod output;
mod remark;
mod rules;
#[cfg(test)]
mod tests;
mod yaml;

pub use load::{LoadError, files, limited, load};
pub use object::Importer;
pub use remark::{Remark, Severity};

use ravelin_config::resources::Resources;

/// The most bytes that a file may have.
pub const MAX_FILE: usize = 64 << 20;

/// What manifests say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// What was carried over.
    pub resources: Resources,
    /// What is to be said about the rest.
    pub remarks: Vec<Remark>,
}

impl Imported {
    /// Whether something is not in force as it was written.
    pub fn has_errors(&self) -> bool {
        self.remarks.iter().any(|remark| remark.severity == Severity::Error)
    }
}

/// What the manifests in `bytes` say, which are called `file` in remarks.
pub fn import(bytes: &[u8], file: &str) -> Imported {
    let mut importer = Importer::default();
    importer.read(bytes, file);
    importer.finish()
}
