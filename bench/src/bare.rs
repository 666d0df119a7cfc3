//! The measure to hold Everfold against: an axum server that answers a POST and remembers nothing.

use axum::{Router, http::StatusCode, routing::post};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let hello = Router::new().route("/write/{key}", post(|_: String| async { (StatusCode::ACCEPTED, "hello") }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on http://{}", listener.local_addr().expect("a bound port has an address"));
    axum::serve(listener, hello).await.expect("serves until it is killed");
}
