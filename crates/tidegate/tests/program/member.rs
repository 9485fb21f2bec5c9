//! Ada, who asks for data through the RiverGen contract.

use serde_json::{Value, json};

use crate::support::{Installation, PASSWORD, Server};

/// Her address.
pub(crate) const ADA: &str = "ada@example.com";

/// Makes her account.
pub(crate) fn create(here: &Installation) {
    let arguments = ["user", "create", "--email", ADA, "--name", "Ada", "--password-stdin", "--json"];
    let said = here.run_with_input(&arguments, PASSWORD);
    assert_eq!(said.code, 0, "{said:?}");
}

/// Signs her in; answers the access token.
pub(crate) async fn sign_in(server: &Server) -> String {
    let (status, signed_in) =
        server.post("/api/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await;
    assert_eq!(status, 200, "{signed_in}");
    signed_in["data"]["access_token"].as_str().unwrap().to_owned()
}

/// Makes her account and signs her in; answers the access token.
pub(crate) async fn token(here: &Installation, server: &Server) -> String {
    create(here);
    sign_in(server).await
}

/// What is answered to a request that must succeed.
pub(crate) async fn post(server: &Server, token: &str, path: &str, body: &Value) -> Value {
    let request = server.http.post(format!("{}/api/v1/{path}", server.base)).bearer_auth(token).json(body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let answer: Value = answer.json().await.unwrap();
    assert!(status < 300, "{path}: {status} {answer}");
    answer["data"].clone()
}

/// The body of an upload, with `b` as the boundary of its parts.
pub(crate) fn form(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), content, b"\r\n--b--\r\n"].concat()
}

/// Uploads a file; answers its path.
pub(crate) async fn upload(server: &Server, token: &str, name: &str, content: &[u8]) -> String {
    let request = server.http.post(format!("{}/api/v1/storage/upload", server.base)).bearer_auth(token);
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let stored: Value = request.body(form(name, content)).send().await.unwrap().json().await.unwrap();
    stored["data"]["file_path"].as_str().unwrap_or_else(|| panic!("{stored}")).to_owned()
}

/// A data source of a CSV file, discovered; answers its number.
pub(crate) async fn csv_source(
    here: &Installation,
    server: &Server,
    token: &str,
    name: &str,
    csv: &str,
) -> i64 {
    let path = upload(server, token, "orders.csv", csv.as_bytes()).await;
    let body = json!({ "name": name, "type": "csv", "file_path": path });
    let number = post(server, token, "data-sources", &body).await["id"].as_i64().unwrap();
    assert_eq!(here.json(&["source", "discover", &number.to_string()])["tables"], 1);
    number
}
