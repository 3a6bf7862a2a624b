//! One call of the API: what the document says of it.

use std::collections::BTreeMap;

use posthaste_domain::{
    access::api_key::Scope,
    input::{
        Asked,
        openapi::{KnownParameter, parameters},
    },
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, HttpMethod, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
        example::ExampleBuilder,
        link::Link,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        security::SecurityRequirement,
    },
};

use crate::List;

use super::{
    refusal::{self, Refusal},
    schema::{self, Named},
};

pub(crate) const JSON: &str = "application/json";
pub(crate) const SECURITY: &str = "apiKey";

/// An example: its name, and what it shows.
pub(crate) type Example = (&'static str, Option<Value>);

/// The description of one call of the API.
pub(crate) struct Call {
    pub(crate) method: HttpMethod,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
    /// The named schemas that it refers to.
    pub(crate) schemas: Named,
    /// The ways in which it fails.
    pub(crate) refusals: Vec<Refusal>,
}

impl Call {
    pub(crate) fn new(
        method: HttpMethod,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let mut operation = Operation::new();
        operation.operation_id = Some(id.to_owned());
        operation.summary = Some(summary.to_owned());
        for (name, status) in refusal::GATEWAY {
            let shared = RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.insert(status.to_string(), shared);
        }
        Self {
            method,
            path,
            operation,
            schemas: Vec::new(),
            refusals: vec![Refusal::loop_detected()],
        }
    }

    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.operation.tags = Some(vec![tag.to_owned()]);
        self
    }

    /// The scope that the caller's key has to have. Looking at the key is the first thing that can
    /// fail.
    pub(crate) fn needs(mut self, scope: Scope, description: &str) -> Self {
        self.operation.description =
            Some(format!("{description}\n\nNeeds the scope `{}`.", scope.name()).trim().to_owned());
        self.operation.security = Some(vec![SecurityRequirement::new(SECURITY, [scope.name()])]);
        for (name, refusal) in refusal::shared() {
            let shared = RefOr::Ref(Ref::from_response_name(name));
            self.operation.responses.responses.insert(refusal.status.to_string(), shared);
        }
        self.refuses([Refusal::new(
            403,
            "forbidden",
            format!("the API key lacks the scope {}", scope.name()),
        )])
    }

    /// Anyone may make the call.
    pub(crate) fn open(mut self, description: &str) -> Self {
        self.operation.description = Some(description.to_owned());
        self.operation.security = Some(Vec::new());
        self.operation
            .responses
            .responses
            .insert("429".to_owned(), RefOr::Ref(Ref::from_response_name("TooManyCalls")));
        self
    }

    /// A part of the path that names a thing, of which there may be none.
    pub(crate) fn names(
        mut self,
        name: &'static str,
        what: &'static str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        let parameter = parameter(ParameterIn::Path, name, "", schema);
        self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
        let unreadable = "the request's path, query or body can't be read";
        if self.refusals.iter().all(|refusal| refusal.code != "malformed_request") {
            self = self.refuses([Refusal::new(400, "malformed_request", unreadable)]);
        }
        if what.is_empty() {
            self
        } else {
            self.refuses([Refusal::new(404, "not_found", format!("there is no {what} here"))])
        }
    }

    /// Adds the parameters that the query can have.
    pub(crate) fn asks<A: Asked>(mut self) -> Self {
        for KnownParameter { name, about, schema } in parameters::<A>() {
            let parameter = parameter(ParameterIn::Query, name, about, schema);
            self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
        }
        self.refuses([Refusal::unknown_parameter()])
    }

    /// A header that may be there.
    pub(crate) fn header(
        mut self,
        name: &'static str,
        says: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        let parameter = parameter(ParameterIn::Header, name, says, schema);
        self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
        self
    }

    /// A page of what is asked for is answered.
    pub(crate) fn pages<A: Asked>(self) -> Self {
        self.asks::<A>().refuses([
            Refusal::query("limit", "0", "limit is 1 to 100"),
            Refusal::repeated_parameter(),
        ])
    }

    /// The body that the call takes, and how it is refused when it is no JSON or compressed.
    pub(crate) fn takes<T: ToSchema>(
        mut self,
        examples: impl IntoIterator<Item = Example>,
    ) -> Self {
        schema::add::<T>(&mut self.schemas);
        let body = RequestBodyBuilder::new()
            .content(JSON, content(schema::reference::<T>(), examples))
            .required(Some(Required::True));
        self.operation.request_body = Some(RefOr::T(body.build()));
        let message = "the body is not JSON: it breaks off at line 1, column 1";
        let malformed = Refusal {
            sent: refusal::Sent::Body("{"),
            ..Refusal::new(400, "malformed_json", message)
        };
        self.refuses([malformed, Refusal::encoded()])
    }

    /// The body may be left out.
    pub(crate) fn optionally(mut self) -> Self {
        if let Some(RefOr::T(body)) = &mut self.operation.request_body {
            body.required = Some(Required::False);
        }
        self
    }

    /// Adds the answer to a call that succeeds, in the envelope.
    pub(crate) fn answers<T: ToSchema>(
        mut self,
        status: u16,
        description: &str,
        examples: impl IntoIterator<Item = Example>,
    ) -> Self {
        schema::add::<T>(&mut self.schemas);
        self.answers_with(status, description, schema::reference::<T>(), examples)
    }

    /// A page of a list of these is answered.
    pub(crate) fn answers_page<T: ToSchema>(
        mut self,
        description: &str,
        example: Option<Value>,
    ) -> Self {
        schema::add::<T>(&mut self.schemas);
        let name = format!("{}List", T::name());
        self.schemas.push((name.clone(), List::<T>::schema()));
        self.answers_with(
            200,
            description,
            RefOr::Ref(Ref::from_schema_name(name)),
            [("page", example)],
        )
    }

    /// Adds the answer to a call that removes something, which names what was removed.
    pub(crate) fn removes(self, id: impl Into<RefOr<Schema>>, example: Option<Value>) -> Self {
        let removed = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("id", id)
            .property("deleted", schema::always_true())
            .required("id")
            .required("deleted");
        self.answers_with(
            200,
            "The thing is removed.",
            RefOr::T(removed.build().into()),
            [("removed", example)],
        )
    }

    fn answers_with(
        mut self,
        status: u16,
        description: &str,
        data: RefOr<Schema>,
        examples: impl IntoIterator<Item = Example>,
    ) -> Self {
        let envelope = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("success", schema::always_true())
            .property("data", data)
            .required("success")
            .required("data");
        let examples = examples
            .into_iter()
            .map(|(name, data)| (name, data.map(|data| json!({ "success": true, "data": data }))));
        let content = content(RefOr::T(envelope.build().into()), examples);
        let response =
            ResponseBuilder::new().description(description).content(JSON, content).build();
        self.operation.responses.responses.insert(status.to_string(), RefOr::T(response));
        self
    }

    /// Links the answer to the operations that are about the thing that it names, and says where
    /// their parameters come from, as runtime expressions. With links a tool gets from call to
    /// call.
    pub(crate) fn leads_to<const N: usize>(
        mut self,
        operations: impl IntoIterator<Item = &'static str>,
        parameters: [(&str, &str); N],
    ) -> Self {
        let responses = &mut self.operation.responses.responses;
        let answered = responses.iter_mut().find(|(status, _)| status.starts_with('2'));
        if let Some((_, RefOr::T(response))) = answered {
            for operation in operations {
                let link = parameters
                    .iter()
                    .fold(Link::builder().operation_id(operation), |link, (name, from)| {
                        link.parameter(*name, *from)
                    });
                response.links.insert(operation.to_owned(), RefOr::T(link.build()));
            }
        }
        self
    }

    pub(crate) fn refuses(mut self, refusals: impl IntoIterator<Item = Refusal>) -> Self {
        self.refusals.extend(refusals);
        self
    }

    /// The operation with all its answers.
    pub(crate) fn finish(mut self) -> (HttpMethod, &'static str, Operation, Named) {
        let mut by_status: BTreeMap<u16, Vec<&Refusal>> = BTreeMap::new();
        for refusal in &self.refusals {
            by_status.entry(refusal.status).or_default().push(refusal);
        }
        let shared = refusal::shared();
        for (status, mut refusals) in by_status {
            refusals.extend(
                shared.iter().map(|(_, shared)| shared).filter(|shared| shared.status == status),
            );
            let response = refusal::response(status, &refusals);
            self.operation.responses.responses.insert(status.to_string(), RefOr::T(response));
        }
        (self.method, self.path, self.operation, self.schemas)
    }
}

fn parameter(
    at: ParameterIn,
    name: &str,
    says: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    let required = if at == ParameterIn::Path { Required::True } else { Required::False };
    let says = (!says.is_empty()).then_some(says);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(at)
        .required(required)
        .description(says)
        .schema(Some(schema))
        .build()
}

/// JSON of this schema, with examples of it.
pub(crate) fn content(
    schema: RefOr<Schema>,
    examples: impl IntoIterator<Item = Example>,
) -> Content {
    let mut content = Content::new(Some(schema));
    for (name, value) in examples {
        content
            .examples
            .insert(name.to_owned(), RefOr::T(ExampleBuilder::new().value(value).build()));
    }
    content
}
