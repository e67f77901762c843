//! A server that refuses, stumbles and goes away, on a loopback socket.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use plimsoll_model::time::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What the server answers to one request after the other; 200 when it runs out.
type Script = Arc<Mutex<Vec<u16>>>;
/// Sequence numbers of the frames of every request that was answered with 200.
type Taken = Arc<Mutex<Vec<u64>>>;

fn batch(rows: i64) -> Batch {
    let mut builder = BatchBuilder::new(Batch::find_table("container").unwrap());
    for row in 0..rows {
        builder.row(row, &Subject::node("c", "n"), &[]);
        builder.int("pids", Some(row)).unwrap();
    }
    builder.finish().unwrap()
}

thread_local! {
    /// Rows that servers of this test's thread took.
    static ROWS: std::cell::RefCell<u64> = const { std::cell::RefCell::new(0) };
}

async fn request(stream: &mut TcpStream) -> Option<Bytes> {
    let mut text = Vec::new();
    loop {
        let head = text.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(head) = head {
            let headers = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().trim().parse().unwrap();
            assert!(headers.contains("authorization: bearer sesame"));
            assert!(headers.contains("content-type: application/vnd.plimsoll.frames"));
            if text.len() >= head + 4 + length {
                return Some(Bytes::copy_from_slice(&text[head + 4..]));
            }
        }
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
}

async fn serve(listener: TcpListener, script: Script, taken: Taken) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (script, taken) = (script.clone(), taken.clone());
        tokio::spawn(async move {
            while let Some(body) = request(&mut stream).await {
                let status = {
                    let mut script = script.lock().unwrap();
                    if script.is_empty() { 200 } else { script.remove(0) }
                };
                if status == 200 {
                    for frame in plimsoll_wire::split(&body) {
                        let (header, _) = plimsoll_wire::decode(&frame.unwrap()).unwrap();
                        taken.lock().unwrap().push(header.id.sequence);
                        ROWS.with_borrow_mut(|rows| *rows += u64::from(header.rows));
                    }
                }
                let body = r#"{"status":"success","data":{"new":1,"duplicate":0,"rejected":[]}}"#;
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Sends `batches` from memory to a server that follows `script`; returns what it took and how it
/// ended.
async fn ship(batches: i64, script: &[u16], queue_bytes_max: usize) -> (Vec<u64>, ShipStatus) {
    let state = tempfile::tempdir().unwrap();
    let set = |options: &mut ShipOptions| {
        options.queue_bytes_max = queue_bytes_max;
        options.spool_bytes_max = None;
    };
    ship_from(state.path(), 1..=batches, script, set).await
}

/// The same with a state folder and options of the caller's.
async fn ship_from(
    state: &std::path::Path,
    batches: std::ops::RangeInclusive<i64>,
    script: &[u16],
    set: impl FnOnce(&mut ShipOptions),
) -> (Vec<u64>, ShipStatus) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (script, taken) = (Arc::new(Mutex::new(script.to_vec())), Taken::default());
    let serving = tokio::spawn(serve(listener, script, taken.clone()));
    let mut options = ShipOptions::new(&server, state.to_owned());
    options.token = Some("sesame".to_owned());
    options.last_flush = Duration::from_mins(2);
    set(&mut options);
    let shipper = Shipper::open(options, Arc::new(ManualClock::new(1_000))).unwrap();
    let status = shipper.status();
    let (out, inbox) = mpsc::channel(1_000);
    for rows in batches {
        out.send(batch(rows)).await.unwrap();
    }
    drop(out);
    shipper.run(inbox).await;
    serving.abort();
    let taken = taken.lock().unwrap().clone();
    let status = status.borrow().clone();
    (taken, status)
}

#[tokio::test]
async fn frames_arrive_once_and_in_order() {
    let (taken, status) = ship(5, &[], 1 << 20).await;
    assert_eq!(taken, [1, 2, 3, 4, 5]);
    assert_eq!((status.frames_acknowledged, status.frames_dropped), (5, 0));
    assert_eq!((status.queue_frames, status.queue_bytes), (0, 0));
}

#[tokio::test]
async fn a_stumbling_server_costs_nothing() {
    let (taken, status) = ship(4, &[503, 429, 401], 1 << 20).await;
    assert_eq!(taken, [1, 2, 3, 4]);
    assert_eq!(status.frames_dropped, 0);
}

#[tokio::test]
async fn only_the_refused_frame_is_lost_and_the_data_says_so() {
    // Whatever the first request holds, the first frame is refused in the end.
    let (taken, status) = ship(1, &[400], 1 << 20).await;
    assert!(taken.is_empty());
    assert_eq!((status.frames_dropped, status.rows_dropped), (1, 1));
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_says_so() {
    let (taken, status) = ship(40, &[503], 4_000).await;
    assert!(status.frames_dropped > 0, "{status:?}");
    assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "{taken:?}");
    assert_eq!(taken.last(), Some(&41), "the gap event comes last");
    let arrived = u64::try_from(taken.len()).unwrap();
    assert_eq!(arrived + status.frames_dropped, 41);
}

#[tokio::test]
async fn a_stumbling_server_costs_nothing_with_a_spool_either() {
    let state = tempfile::tempdir().unwrap();
    let (taken, status) = ship_from(state.path(), 1..=4, &[503, 429, 503], |_| {}).await;
    let all: BTreeSet<u64> = taken.iter().copied().collect();
    assert_eq!(all.len(), taken.len(), "nothing twice");
    assert_eq!((ROWS.take(), status.frames_dropped), (1 + 2 + 3 + 4, 0));
    assert_eq!((status.queue_frames, status.spool_frames, status.spool_bytes), (0, 0, 0));
}

#[tokio::test]
async fn ack_what_waited_when_the_agent_ended_is_sent_by_the_next() {
    let state = tempfile::tempdir().unwrap();
    let away = [503; 1_000];
    let set = |options: &mut ShipOptions| options.last_flush = Duration::from_millis(1);
    let (taken, status) = ship_from(state.path(), 1..=9, &away, set).await;
    assert!(taken.is_empty());
    assert!(status.spool_frames > 0 && status.queue_frames == 0, "{status:?}");
    let (_, status) = ship_from(state.path(), 10..=12, &[], |_| {}).await;
    assert_eq!(ROWS.take(), (1..=12).sum::<u64>());
    assert_eq!((status.spool_frames, status.frames_dropped), (0, 0));
    assert_eq!(std::fs::read_dir(state.path().join("spool")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_done_without() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("spool");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let options = ShipOptions::new(&server, state.path().to_owned());
    let mut shipper = Shipper::open(options, Arc::new(ManualClock::new(1_000))).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    shipper.failing = true;
    shipper.take(&batch(3), 0, false).await;
    shipper.take(&batch(4), 0, false).await;
    assert_eq!((shipper.queue.frames(), shipper.totals.frames_dropped), (2, 0));
}

#[tokio::test]
async fn what_waited_is_sent_beside_new_frames_two_rows_for_one() {
    let state = tempfile::tempdir().unwrap();
    let mut options = ShipOptions::new("http://127.0.0.1:9", state.path().to_owned());
    options.post_bytes_max = 1;
    let mut shipper = Shipper::open(options, Arc::new(ManualClock::new(1_000))).unwrap();
    shipper.failing = true;
    for _ in 0..40 {
        shipper.enqueue(&batch(5), 0);
    }
    shipper.spill().await;
    shipper.failing = false;
    let (mut new_rows, mut old_rows) = (0, 0);
    for _ in 0..30 {
        shipper.take(&batch(3), 0, false).await;
        new_rows += 3;
        while let Some(posting) = shipper.post(false).await {
            if posting.part.from == From::Disk {
                old_rows += posting.part.rows;
            }
            shipper.judge(posting.part, Verdict::Taken { rejected: 0, offset_ms: None }).await;
        }
        assert!(old_rows <= 2 * new_rows + 5, "{old_rows} beside {new_rows}");
    }
    assert!(old_rows + 10 >= 2 * new_rows, "{old_rows} beside {new_rows}");
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    let state = tempfile::tempdir().unwrap();
    for server in ["", "plimsoll:7117", "ftp://x", "https://x"] {
        let options = ShipOptions::new(server, state.path().to_owned());
        let refused = Shipper::open(options, Arc::new(ManualClock::new(1)));
        assert!(matches!(refused, Err(ShipError::Server { .. })), "{server:?}");
    }
}
