//! Ad-hoc: CPU cost of the ingest path.
#![allow(warnings, clippy::all, clippy::pedantic)]
use std::sync::Arc;
use std::time::Instant;
use bytes::Bytes;
use plimsoll_model::{BatchBuilder, ColumnType, Registry, Subject, SystemClock, Clock};
use plimsoll_store::{Store, StoreOptions, Appended};
use plimsoll_wire::*;
fn cpu() -> f64 { let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime); t.tv_sec as f64 + t.tv_nsec as f64/1e9 }
fn main() {
    let rows: usize = std::env::args().nth(1).map_or(60, |a| a.parse().unwrap());
    let table = Registry::embedded().table("container").unwrap();
    let now = SystemClock::new().now_ms();
    let mut frames = Vec::new(); let mut samples = 0u64;
    let n_frames = 12_000 / (rows / 20).max(1);
    for n in 0..n_frames {
        let mut b = BatchBuilder::new(table);
        for r in 0..rows {
            let mut s = Subject::node("default", &format!("node-{}", n % 50));
            s.service = format!("svc-{}", r % 17).into();
            s.container_id = format!("{:064x}", (n % 50) * 1000 + r).into();
            s.container = format!("svc-{}-{r}", r % 17).into();
            s.image = "registry/app:1.2.3".into();
            b.row(now - 3_600_000 + (n as i64 / 50) * 10_000, &s, &[]);
            for (i, m) in table.metrics().iter().enumerate() {
                let v = (n / 50 * 1000 * (i + 1) + r * 77) as i64;
                match m.column_type {
                    ColumnType::Int => b.int(&m.column, Some(v)).unwrap(),
                    ColumnType::Float => b.float(&m.column, Some(v as f64)).unwrap(),
                    ColumnType::Text => b.text(&m.column, Some("running")).unwrap(),
                }
            }
        }
        let batch = b.finish().unwrap(); samples += batch.samples() as u64;
        let id = FrameId { sender: SenderId([(n % 50) as u8; 16]), epoch: 1, sequence: n as u64 / 50 + 1 };
        frames.push((batch, id));
    }
    let c = cpu();
    let encoded: Vec<Bytes> = frames.iter().map(|(b, id)| Bytes::from(encode(b, *id).unwrap())).collect();
    let e = cpu() - c;
    let bytes: usize = encoded.iter().map(|b| b.len()).sum();
    println!("{} frames x {rows} rows x {} metrics, {samples} samples, {:.2} B/sample", frames.len(), table.metrics().len(), bytes as f64 / samples as f64);
    println!("encode {:.2} M samples/cpu s", samples as f64 / e / 1e6);
    let mut d = FrameDecoder::new(FrameLimits::default()).unwrap();
    let c = cpu();
    for f in &encoded { d.decode(f).unwrap(); }
    println!("decode {:.2} M samples/cpu s, {:.1} us/frame", samples as f64 / (cpu() - c) / 1e6, (cpu() - c) * 1e6 / encoded.len() as f64);
    let c = cpu();
    for f in &encoded { peek(f, &FrameLimits::default()).unwrap(); }
    println!("peek   {:.2} M samples/cpu s", samples as f64 / (cpu() - c) / 1e6);
    let dir = std::env::args().nth(2).unwrap_or("/tmp/storea-data".into());
    let _ = std::fs::remove_dir_all(&dir);
    let mut o = StoreOptions::new(&dir); o.disk_free_bytes_min = 0;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    rt.block_on(async {
        let store = Store::open(o.clone(), Arc::new(SystemClock::new())).unwrap();
        let (c, w) = (cpu(), Instant::now());
        let mut set = tokio::task::JoinSet::new();
        for part in encoded.chunks(8) {
            while set.len() >= 16 { set.join_next().await.unwrap().unwrap(); }
            let (store, part) = (store.clone(), part.to_vec());
            set.spawn(async move { loop { match store.append(part.clone()).await { Ok(a) => { assert!(matches!(a[0], Appended::New{..}), "{a:?}"); break } Err(_) => tokio::task::yield_now().await } } });
        }
        while let Some(r) = set.join_next().await { r.unwrap(); }
        let (ca, wa) = (cpu() - c, w.elapsed());
        println!("append (decode+wal+head, any flush) {:.2} M samples/cpu s, {:.2} M/s wall, head {} MB", samples as f64 / ca / 1e6, samples as f64 / wa.as_secs_f64() / 1e6, store.status().head_bytes >> 20);
        store.flush().await.unwrap();
        let (cb, wb) = (cpu() - c, w.elapsed());
        let s = store.status();
        println!("append+flush {:.2} M samples/cpu s, {:.2} M/s wall, commits {}, frames {}, {:.3} B/sample on disk", samples as f64 / cb / 1e6, samples as f64 / wb.as_secs_f64() / 1e6, s.commits, s.frames_new, s.tables.iter().map(|t| t.bytes).sum::<u64>() as f64 / samples as f64);
        drop(store);
        let _ = std::fs::remove_dir_all(&dir);
        // Replay.
        let store = Store::open(o.clone(), Arc::new(SystemClock::new())).unwrap();
        for part in encoded.chunks(64) { store.append(part.to_vec()).await.ok(); }
        let kept = store.status().wal_bytes; drop(store);
        let w = Instant::now();
        let store = Store::open(o, Arc::new(SystemClock::new())).unwrap();
        println!("replay {} MB in {:?}, {} frames", kept >> 20, w.elapsed(), store.status().replayed_frames);
    });
}
