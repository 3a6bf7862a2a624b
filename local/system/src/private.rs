//! Files that contain secrets are written so that only their owner can read them.

use std::{ffi::OsString, fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Replaces a file. From the first moment only its owner can read it, and nobody ever reads half of
/// it: it is written under its name with `.new` and then renamed.
///
/// # Errors
/// It could not be written. What was there before is left as it was.
pub fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(file);
    name.push(".new");
    // A file that an earlier run left would keep its rights.
    match fs::remove_file(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(&name, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_may_read_whatever_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let (file, left) =
            (directory.path().join("ready.json"), directory.path().join("ready.json.new"));
        for path in [&file, &left] {
            fs::write(path, "before").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        }
        write(&file, b"secret").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"secret");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!left.exists());
    }
}
