# SPDX-License-Identifier: Apache-2.0
#
# Where deployments run: a Fargate cluster, the image they run, and where their output goes.

resource "aws_ecs_cluster" "deployments" {
  name = var.name
}

# gantryd names a capacity provider, or a list to try in order, in each RunTask; the default is for
# tasks that are started by hand.
resource "aws_ecs_cluster_capacity_providers" "deployments" {
  cluster_name       = aws_ecs_cluster.deployments.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

resource "aws_ecr_repository" "deployer" {
  name = "${var.name}-deployer"

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "deployer" {
  repository = aws_ecr_repository.deployer.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Images that lost their tag go after two weeks."
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = 14
      }
      action = { type = "expire" }
    }]
  })
}

resource "aws_cloudwatch_log_group" "deployments" {
  name              = "/${var.name}/deployments"
  retention_in_days = var.log_retention_days
}

# A deployment clones, builds and uploads; nobody calls it.
resource "aws_security_group" "deployments" {
  name        = "${var.name}-deployments"
  description = "Deployment tasks: outbound only"
  vpc_id      = var.vpc_id

  egress {
    description = "git, package registries, AWS"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_task_definition" "deployer" {
  family                   = "${var.name}-deployer"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([{
    name        = var.container
    image       = "${aws_ecr_repository.deployer.repository_url}:${var.image_tag}"
    essential   = true
    stopTimeout = 30
    environment = [
      { name = "BUCKET", value = var.publish_bucket }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.deployments.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "deploy"
      }
    }
  }])
}
