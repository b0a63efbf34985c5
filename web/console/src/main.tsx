import { render } from "preact";
import "@angbu/shared/looks.css";
import "./console.css";
import { App } from "./app";
import { RouterProvider } from "./router";

const root = document.getElementById("console");
if (root === null) throw new Error("broken invariant: index.html has no #console");
render(
  <RouterProvider>
    <App />
  </RouterProvider>,
  root,
);
