//! One operation of the document: a row of the table, and how it is written out.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// No sign-in.
    Anybody,
    /// Signed in, by sight.
    Person,
    /// Signed in as an admin.
    Admin,
    /// Signed in as an admin, or as a technician by sight.
    AdminOrTechnician,
    /// By its credential.
    Gateway,
    /// Either of them.
    AdminOrThatGateway,
    /// The refresh token, as a cookie or in the body.
    RefreshToken,
    /// Callers on this machine, or with the token.
    MetricsReader,
}

/// The parameter of a path that is no id.
const ROOM: &str = "room_id";
const ROOMS: &str = "^(fleet|alerts|(site|device)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$";

type Of = fn(&mut Schemas) -> Value;

/// What the body is.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// JSON, and whether it may be left out.
    Json {
        of: Of,
        optional: bool,
    },
    Bytes {
        media_type: &'static str,
        of: Of,
    },
}

/// What a good answer is.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Nothing,
    Json(Of),
    /// With the version in `ETag`.
    Single(Of),
    /// The same as 201 with `Location`.
    Created(Of),
    /// 201 with `Location` alone.
    Placed(Of),
    List(fn(&mut Schemas, &'static str) -> Value, &'static str),
    Text(&'static str),
    /// A WebSocket.
    Socket,
}

/// One method of one path.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    /// Name of the handler.
    id: &'static str,
    summary: &'static str,
    who: Who,
    query: Option<Of>,
    body: Option<Body>,
    answer: Answer,
    /// Further media types of the answer.
    also: &'static [&'static str],
    sets_cookie: bool,
    once: bool,
    if_match: bool,
    /// Refusals beyond those that follow from the rest.
    refusals: Vec<u16>,
}

impl Operation {
    /// A row without parameters, body and answer.
    pub fn new(method: &'static str, path: &'static str, id: &'static str, who: Who, summary: &'static str) -> Self {
        Operation {
            method,
            path,
            id,
            summary,
            who,
            query: None,
            body: None,
            answer: Answer::Nothing,
            also: &[],
            sets_cookie: false,
            once: false,
            if_match: false,
            refusals: Vec::new(),
        }
    }

    /// Takes the fields of `T` as parameters of the query.
    pub fn query<T: JsonSchema>(self) -> Self {
        Operation { query: Some(Schemas::taken::<T>), ..self }
    }

    /// Takes a JSON body.
    pub fn takes<T: JsonSchema>(self) -> Self {
        Operation { body: Some(Body::Json { of: Schemas::taken::<T>, optional: false }), ..self }
    }

    /// Takes a JSON body or none.
    pub fn may_take<T: JsonSchema>(self) -> Self {
        Operation { body: Some(Body::Json { of: Schemas::taken::<T>, optional: true }), ..self }
    }

    /// Takes the change of a `T`: fields are `null` only where they may be in `T`.
    pub fn changes<T: JsonSchema, U: JsonSchema>(self) -> Self {
        let body = Body::Json { of: Schemas::change::<T, U>, optional: false };
        Operation { body: Some(body), answer: Answer::Single(Schemas::given::<T>), ..self }
    }

    /// Takes bytes of this media type.
    pub fn takes_bytes(self, media_type: &'static str) -> Self {
        Operation { body: Some(Body::Bytes { media_type, of: |_| json!({}) }), ..self }
    }

    /// Answers JSON.
    pub fn answers<T: JsonSchema>(self) -> Self {
        Operation { answer: Answer::Json(Schemas::given::<T>), ..self }
    }

    /// Answers a single thing with its version.
    pub fn gives<T: JsonSchema>(self) -> Self {
        Operation { answer: Answer::Single(Schemas::given::<T>), ..self }
    }

    /// Answers the new thing with its place and version.
    pub fn creates<T: JsonSchema>(self) -> Self {
        Operation { answer: Answer::Created(Schemas::given::<T>), ..self }
    }

    /// Answers the new thing with its place; it has no version.
    pub fn creates_unversioned<T: JsonSchema>(self) -> Self {
        Operation { answer: Answer::Placed(Schemas::given::<T>), ..self }
    }

    /// Answers a page of a list under its noun.
    pub fn lists<T: JsonSchema>(self, noun: &'static str) -> Self {
        Operation { answer: Answer::List(Schemas::list::<T>, noun), ..self }
    }

    /// Answers text of these types, too, where `Accept` asks for it.
    pub fn also(self, media_types: &'static [&'static str]) -> Self {
        Operation { also: media_types, ..self }
    }

    /// Answers text.
    pub fn answers_text(self, media_type: &'static str) -> Self {
        Operation { answer: Answer::Text(media_type), ..self }
    }

    /// Opens a WebSocket.
    pub fn opens_socket(self) -> Self {
        Operation { answer: Answer::Socket, ..self }
    }

    /// Gives or takes away the refresh cookie.
    pub fn sets_cookie(self) -> Self {
        Operation { sets_cookie: true, ..self }
    }

    /// Takes an `Idempotency-Key`.
    pub fn once(self) -> Self {
        Operation { once: true, ..self }
    }

    /// Takes an `If-Match`.
    pub fn if_match(self) -> Self {
        Operation { if_match: true, ..self }
    }

    /// Refuses for further reasons, by status.
    pub fn refuses(self, statuses: &[u16]) -> Self {
        Operation { refusals: statuses.to_vec(), ..self }
    }

    /// As the document has it, under this tag.
    pub fn write(&self, tag: &str, schemas: &mut Schemas) -> Value {
        let mut written = json!({
            "operationId": self.id, "tags": [tag], "summary": self.summary, "security": self.security(),
        });
        let parameters = self.parameters(schemas);
        if !parameters.is_empty() {
            written["parameters"] = Value::Array(parameters);
        }
        if let Some(body) = self.body {
            let (media_type, schema, required) = match body {
                Body::Json { of, optional } => ("application/json", of(schemas), !optional),
                Body::Bytes { media_type, of } => (media_type, of(schemas), true),
            };
            written["requestBody"] = json!({"required": required, "content": {media_type: {"schema": schema}}});
        }
        written["responses"] = self.responses(schemas);
        written
    }

    fn security(&self) -> Value {
        match self.who {
            Who::Anybody => json!([]),
            Who::Person => json!([{"person": []}]),
            Who::Admin => json!([{"person": ["admin"]}]),
            Who::AdminOrTechnician => json!([{"person": ["admin"]}, {"person": ["technician"]}]),
            Who::Gateway => json!([{"gateway": []}]),
            Who::AdminOrThatGateway => json!([{"person": ["admin"]}, {"gateway": []}]),
            Who::RefreshToken => json!([{}, {"refresh_cookie": []}]),
            Who::MetricsReader => json!([{}, {"metrics_token": []}]),
        }
    }

    fn parameters(&self, schemas: &mut Schemas) -> Vec<Value> {
        let mut parameters: Vec<Value> = self
            .path_parameters()
            .map(|name| {
                let schema = match name {
                    ROOM => json!({"type": "string", "pattern": ROOMS}),
                    _ => json!({"type": "string", "format": "uuid"}),
                };
                json!({"name": name, "in": "path", "required": true, "schema": schema})
            })
            .collect();
        if let Some(of) = self.query {
            let (fields, needed) = schemas.query(of);
            for (name, mut schema) in fields {
                let told = schema.as_object_mut().and_then(|schema| schema.remove("description"));
                let required = needed.iter().any(|needed| needed == &name);
                let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
                if let Some(told) = told {
                    parameter["description"] = told;
                }
                parameters.push(parameter);
            }
        }
        for (taken, name) in [(self.once, "IdempotencyKey"), (self.if_match, "IfMatch")] {
            if taken {
                parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
            }
        }
        parameters
    }

    fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    fn responses(&self, schemas: &mut Schemas) -> Value {
        let (status, mut answer) = match self.answer {
            Answer::Nothing => (204, json!({"description": "Done."})),
            Answer::Json(of) => (200, json_answer(&of(schemas))),
            Answer::Single(of) => (200, with_headers(json_answer(&of(schemas)), &["ETag"])),
            Answer::Created(of) => (201, with_headers(json_answer(&of(schemas)), &["ETag", "Location"])),
            Answer::Placed(of) => (201, with_headers(json_answer(&of(schemas)), &["Location"])),
            Answer::List(of, noun) => (200, json_answer(&of(schemas, noun))),
            Answer::Socket => (101, json!({"description": "The socket is open."})),
            Answer::Text(media_type) => {
                (200, json!({"description": "Done.", "content": {media_type: {"schema": {"type": "string"}}}}))
            }
        };
        for media_type in self.also {
            answer["content"][*media_type] = json!({"schema": {"type": "string"}});
        }
        if self.sets_cookie {
            answer = with_headers(answer, &["Set-Cookie"]);
        }
        let mut responses = Map::from_iter([(status.to_string(), answer)]);
        for status in self.refused_with() {
            responses.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{status}")}));
        }
        Value::Object(responses)
    }

    /// Statuses of refusals, ascending.
    fn refused_with(&self) -> Vec<u16> {
        let mut statuses = self.refusals.clone();
        match self.who {
            Who::Anybody => {}
            Who::Person | Who::Admin | Who::AdminOrTechnician | Who::Gateway | Who::AdminOrThatGateway => {
                statuses.extend([401, 403])
            }
            Who::RefreshToken | Who::MetricsReader => statuses.push(401),
        }
        if self.path_parameters().any(|name| name != ROOM) {
            statuses.extend([404, 422]);
        }
        if self.query.is_some() {
            statuses.push(422);
        }
        match self.body {
            Some(Body::Json { optional: false, .. }) => statuses.extend([400, 413, 415, 422]),
            Some(Body::Json { optional: true, .. }) => statuses.extend([400, 413, 422]),
            Some(Body::Bytes { .. }) => statuses.extend([400, 413, 415, 422]),
            None => {}
        }
        if self.once {
            statuses.extend([409, 422]);
        }
        if self.if_match {
            statuses.push(412);
        }
        statuses.extend([500, 503]);
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

fn json_answer(schema: &Value) -> Value {
    json!({"description": "Done.", "content": {"application/json": {"schema": schema}}})
}

fn with_headers(mut answer: Value, names: &[&str]) -> Value {
    for name in names {
        answer["headers"][*name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
    answer
}
