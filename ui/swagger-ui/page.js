// Shows the document of this server. Swagger UI would ask a validator elsewhere about it, so that is switched off; the token that is
// typed under "Authorize" stays in this page's memory and is gone when the page is.
SwaggerUIBundle({
  dom_id: "#page",
  url: "openapi.json",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
});
