use crate::schema::{
    entry,
    parser::{list, path, path_pattern},
    reader::At,
};
use std::path::PathBuf;

entry! {
    /// Keys that stand before the first section. Paths are relative to the directory of the file that they stand in.
    struct FileModel in "" as Once {
        /// Other files to read, by path or by pattern: `*` and `?` stand for any characters of a name, `**` for directories. They
        /// may have these keys and every section that may be repeated; sections that may stand once have their place in the main
        /// file.
        include: Vec<At<String>> = Means("none") => list("paths or patterns", path_pattern()), Live;
        /// Kubernetes and Calico manifests to read, YAML or JSON, by path or by pattern.
        manifests: Vec<At<String>> = Means("none") => list("paths or patterns", path_pattern()), Live;
        /// A directory of files with an endpoint each, which is watched. In the main file only.
        endpoints_dir: PathBuf = Means("none") => path(), Live;
    }
}
