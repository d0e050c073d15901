# SPDX-License-Identifier: Apache-2.0
"""A calendar that is exported in the background: POST answers 202 at once, gantry runs the export, and the client
comes back for its status and its result.

    POST /calendars/NAME/exports    202 {"id", "status": URL}
    GET  /exports/ID                {"state": "PENDING", "STARTED", "SUCCESS", "FAILURE" or "REVOKED"}
    GET  /exports/ID/result         the calendar, once it is there

The application only knows Celery: it sends a task and asks for its state.  That gantryd takes the task, and not
a Celery worker, shows nowhere in here.  See gantry.yaml beside this file.

    REDIS_URL=redis://127.0.0.1:6379/0 EXPORTS=/var/lib/calendar flask --app app run
"""

import os
import pathlib
import re

from celery import Celery
from flask import Flask, abort, jsonify, send_file, url_for

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
EXPORTS = pathlib.Path(os.environ.get("EXPORTS", "/var/lib/calendar"))

celery = Celery(broker=REDIS_URL, backend=REDIS_URL)
celery.conf.task_default_queue = "exports"
app = Flask(__name__)


@app.post("/calendars/<name>/exports")
def export(name):
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        abort(404)
    task = celery.send_task("calendar.export", kwargs={"project": name})
    return jsonify(id=task.id, status=url_for("status", task_id=task.id)), 202


@app.get("/exports/<uuid:task_id>")
def status(task_id):
    task = celery.AsyncResult(str(task_id))
    answer = {"id": task.id, "state": task.state}
    if task.successful():
        answer["result"] = url_for("result", task_id=task_id)
    elif task.failed():
        answer["error"] = str(task.result)
    return jsonify(answer)


@app.get("/exports/<uuid:task_id>/result")
def result(task_id):
    file = EXPORTS / f"{task_id}.ics"
    if not file.exists():
        abort(404)
    return send_file(file, mimetype="text/calendar")
