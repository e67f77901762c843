//! Settings from files, variables and flags, and how wrong ones are refused.

use super::{Override, Settings};

fn load(file: &str, variables: &[(&str, &str)], flags: &[Override]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plimsoll.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let loaded = Settings::load(Some(&path), variables, flags);
    let shown = path.display().to_string();
    loaded.map_err(|error| plimsoll_model::chain(&error).replace(&shown, "FILE"))
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file_beats_the_default() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n[collect]\ninterval_s = 20\n";
    let variables = [("PLIMSOLL_COLLECT_INTERVAL_S", "30"), ("PLIMSOLL_PORT", "tcp://10.0.0.1")];
    let flags = [Override::new("--interval", "collect", "interval_s", "40")];
    assert_eq!(load("", &[], &[]).unwrap().int("collect", "interval_s"), 10);
    assert_eq!(load(file, &[], &[]).unwrap().int("collect", "interval_s"), 20);
    assert_eq!(load(file, &variables, &[]).unwrap().int("collect", "interval_s"), 30);
    let settings = load(file, &variables, &flags).unwrap();
    assert_eq!(settings.int("collect", "interval_s"), 40);
    assert_eq!(settings.text("server", "listen"), "127.0.0.1:1");
    assert!(settings.show().contains("interval_s = 40 # --interval\n"));
}

#[test]
fn what_is_wrong_is_named_with_what_is_allowed() {
    for (file, expected) in [
        (
            "[collect]\nintervall_s = 5\n",
            "FILE: there is no setting `collect.intervall_s`, did you mean `collect.interval_s`?",
        ),
        ("[colect]\n", "FILE: there is no setting `colect`, did you mean `collect`?"),
        (
            "[collect]\ninterval_s = 0\n",
            "FILE: setting `collect.interval_s`: found 0, allowed is a whole number from 1 to 300 \
             seconds",
        ),
        (
            "[collect]\nsource = \"magic\"\n",
            "FILE: setting `collect.source`: found \"magic\", allowed is one of auto, cgroup, \
             engine",
        ),
        (
            "[server]\nlisten = 7117\n",
            "FILE: setting `server.listen`: found 7117, allowed is a text",
        ),
        (
            "[retention]\nraw_days = 100\nfive_minute_days = 10\n",
            "FILE: setting `retention.five_minute_days`: found 10, allowed is at least \
             retention.raw_days, which is 100",
        ),
        (
            "[tls]\nkey = \"key.pem\"\n",
            "FILE: setting `tls.key` is not supported by this version; leave it out",
        ),
    ] {
        assert_eq!(load(file, &[], &[]).unwrap_err(), expected);
    }
    assert!(load("[server\n", &[], &[]).unwrap_err().starts_with("the settings in FILE are not"));
    let variable = [("PLIMSOLL_SERVER_LISTN", "x")];
    assert_eq!(
        load("", &variable, &[]).unwrap_err(),
        "PLIMSOLL_SERVER_LISTN: there is no setting `server.listn`, did you mean `server.listen`?"
    );
}

#[test]
fn every_setting_shown_can_be_read_back() {
    let settings = load("", &[], &[]).unwrap();
    load(&settings.show(), &[], &[]).unwrap();
}
