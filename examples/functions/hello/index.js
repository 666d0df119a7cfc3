// Request in, response out. What is written for Appwrite looks the same.
export default async ({ req, res, log }) => {
  const name = req.query.name ?? "world";
  log("greeting", name);
  return res.json({ hello: name, method: req.method });
};
