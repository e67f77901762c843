//! Recorded trees of control groups, read as the collector reads them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, BatchBuilder, Subject};

use crate::cases::{columns, plant, run_cases};
use crate::reader::{Job, Machine, Outcome};
use crate::usage::Sample;

fn tell(sample: &Sample) -> String {
    let row = |table: &str, write: &dyn Fn(&mut BatchBuilder)| {
        let mut builder = BatchBuilder::new(Batch::find_table(table).unwrap());
        builder.row(sample.time_ms, &Subject::default(), &[]);
        write(&mut builder);
        columns(&builder.finish().unwrap(), 0)
    };
    let mut out = row("container", &|builder| sample.usage.write(builder).unwrap());
    for (interface, usage) in &sample.networks {
        writeln!(out, "interface {interface}").unwrap();
        out.push_str(&row("container_network", &|builder| usage.write(builder).unwrap()));
    }
    for (device, usage) in &sample.blkio {
        writeln!(out, "device {}:{}", device.major, device.minor).unwrap();
        out.push_str(&row("container_blkio", &|builder| usage.write(builder).unwrap()));
    }
    out
}

fn read(root: &Path, ids: &[&str]) -> String {
    let machine = Machine::find(root);
    let jobs = ids.iter().map(|id| Job {
        id: Arc::from(*id),
        cgroup_parent: String::new(),
        pid: None,
        owns_network: true,
        reader: None,
    });
    let mut out = format!("version {:?}\n", machine.cgroup_version());
    for Outcome { id, read } in machine.read(jobs.collect(), &ManualClock::new(1)) {
        writeln!(out, "container {}", &id[..4]).unwrap();
        out.push_str(&read.map_or("none\n".to_owned(), |(_, sample)| tell(&sample)));
    }
    out
}

#[test]
fn tree_cases() {
    run_cases("tree", |input| {
        let root = tempfile::tempdir().unwrap();
        plant(root.path(), input);
        let ids: Vec<&str> =
            input.lines().filter_map(|line| line.strip_prefix("container ")).collect();
        read(root.path(), &ids)
    });
}
